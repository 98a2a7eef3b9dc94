#include "tools/veranda/commands.hpp"

#include "messages/model/repository.hpp"

#include "adapters/git/git_url.hpp"

#include <iostream>

namespace veranda::cli {
namespace {

const cli_kind& repositories() { return *find_kind("repositories"); }

/// The host of the object's remote, empty for local paths and what cannot be read.
std::string host_of(const json& object) {
  const auto url = git::parse_git_url(text_at(object, {"spec", "git", "repo"}));
  return url ? url->host : std::string{};
}

} // namespace

std::optional<std::string> plain_selection(const globals& g, repository_selection& of) {
  if (static_cast<int>(of.all) + static_cast<int>(!of.names.empty()) + static_cast<int>(!of.host.empty()) != 1)
    return "name repositories, or give --all, or --host HOST";
  for (auto& c : of.host) // as in a parsed URL
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (!of.names.empty() && g.all_namespaces)
    return "-A goes with --all and --host";
  for (auto& name : of.names)
    if (const auto slash = name.find('/'); slash != std::string::npos) {
      const auto* kind = find_kind(name.substr(0, slash));
      if (kind == nullptr || kind->kind != "Repository")
        return "this is for repositories, not for " + name;
      name.erase(0, slash + 1);
    }
  return std::nullopt;
}

result<std::vector<object_key>> find_repositories(api_client& client, const globals& g, const repository_selection& of) {
  std::vector<object_key> keys;
  for (const auto& name : of.names)
    keys.push_back({g.ns, name});
  if (!of.names.empty())
    return keys;
  const auto text = client.get(object_path(repositories(), g.all_namespaces ? "" : g.ns));
  if (!text)
    return text.error();
  const auto list = parse_json(*text);
  for (const auto& item : list.value("items", json::array()))
    if (of.all || host_of(item) == of.host)
      keys.push_back(key_of(item));
  return keys;
}

result<json> patch_repository(api_client& client, const object_key& key, const json& patch) {
  const auto a = client.call("PATCH", object_path(repositories(), key.ns, key.name), "application/json", patch.dump(), "application/merge-patch+json");
  if (!a)
    return a.error();
  if (a->status != 200)
    return failure_of(*a, key.name);
  return parse_json(a->body);
}

object_key key_of(const json& object) { return {text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"})}; }

std::string shown(const globals& g, const object_key& key) {
  return "repository.config.porch.kpt.dev/" + key.name + (g.all_namespaces ? " -n " + key.ns : "");
}

int run_suspend(const globals& g, const repository_selection& wanted, bool suspend) {
  auto of = wanted;
  if (const auto wrong = plain_selection(g, of))
    return usage(*wrong);
  api_client client{g.server};
  const auto keys = find_repositories(client, g, of);
  if (!keys)
    return fail(keys.error());
  if (keys->empty())
    std::cerr << "No repositories found.\n";
  const json patch{{"metadata", {{"annotations", {{std::string{api_names::suspend_annotation}, suspend ? json("true") : json(nullptr)}}}}}};
  int status = exit_ok;
  for (const auto& key : *keys) {
    if (const auto patched = patch_repository(client, key, patch); !patched)
      status = fail(patched.error());
    else
      std::cout << shown(g, key) << (suspend ? " suspended\n" : " resumed\n");
  }
  return status;
}

} // namespace veranda::cli
