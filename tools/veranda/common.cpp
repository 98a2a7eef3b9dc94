#include "tools/veranda/commands.hpp"

#include <algorithm>
#include <iostream>

namespace veranda::cli {

const cli_kind* find_kind(const std::string& name) {
  static const std::vector<cli_kind> kinds{
      {{"repositories", "repository", "repos", "repo"}, "config.porch.kpt.dev", "Repository"},
      {{"packagerevisions", "packagerevision", "pr", "rpkg"}, "porch.kpt.dev", "PackageRevision"},
      {{"packagerevisionresources"}, "porch.kpt.dev", "PackageRevisionResources"},
      {{"packages", "package", "pkg"}, "porch.kpt.dev", "Package"},
  };
  const auto plain = name.substr(0, name.find('.'));
  for (const auto& k : kinds)
    if (std::find(k.names.begin(), k.names.end(), plain) != k.names.end() && (plain == name || name == plain + "." + k.group))
      return &k;
  return nullptr;
}

result<target> parse_target(const std::string& kind, const std::vector<std::string>& names) {
  const auto slash = kind.find('/');
  const auto kind_name = kind.substr(0, slash);
  target t{find_kind(kind_name), {}};
  if (t.kind == nullptr)
    return failure{ec::invalid_spec, "unknown kind \"" + kind_name + "\": repositories, packagerevisions, packagerevisionresources or packages", {}, {}, {}};
  if (slash == std::string::npos) {
    t.names = names;
  } else {
    t.names.push_back(kind.substr(slash + 1));
    for (const auto& n : names) {
      const auto at = n.find('/');
      if (at == std::string::npos || find_kind(n.substr(0, at)) != t.kind)
        return failure{ec::invalid_spec, "after KIND/NAME only the same kind's KIND/NAME can follow, not \"" + n + "\"", {}, {}, {}};
      t.names.push_back(n.substr(at + 1));
    }
  }
  for (const auto& n : t.names)
    if (n.empty() || n.find('/') != std::string::npos)
      return failure{ec::invalid_spec, "\"" + n + "\" is not a name", {}, {}, {}};
  return t;
}

std::string object_path(const cli_kind& kind, const std::string& ns, const std::string& name) {
  std::string path = "/apis/" + kind.group + "/v1alpha1";
  if (!ns.empty())
    path += "/namespaces/" + encode(ns);
  path += "/" + kind.names.front();
  return name.empty() ? path : path + "/" + encode(name);
}

int fail(const failure& f) {
  std::cerr << "error: " << printable(describe(f)) << '\n';
  return exit_error;
}

int usage(const std::string& what) {
  std::cerr << "error: " << printable(what) << '\n';
  return exit_usage;
}

std::string text_at(const json& object, std::initializer_list<const char*> path) {
  const json* at = &object;
  for (const auto* key : path) {
    if (!at->is_object())
      return {};
    const auto found = at->find(key);
    if (found == at->end())
      return {};
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : at->is_null() || at->is_structured() ? std::string{} : at->dump();
}

json parse_json(const std::string& text) { return json::parse(text, nullptr, false); }

} // namespace veranda::cli
