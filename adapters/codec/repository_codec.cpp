#include "adapters/codec/repository_codec.hpp"

#include "adapters/codec/names.hpp"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

namespace veranda::codec {
namespace {

using nlohmann::json;
using problem_list = std::vector<field_problem>;

constexpr std::string_view label_rule = "must be an RFC 1123 label: at most 63 lower-case letters, digits and '-', "
                                        "starting and ending with a letter or digit";

/// A scalar as it may be shown; what is inside objects and lists is not.
std::string shown(const json& value) {
  if (const auto* text = value.get_ptr<const std::string*>())
    return shorten(*text);
  if (value.is_object())
    return "an object";
  if (value.is_array())
    return "a list";
  return shorten(value.dump());
}

/// Reads the fields of one JSON object and reports those of the wrong type and those nobody asked for. Null counts as absent, as in Kubernetes.
class field_reader {
public:
  field_reader(const json* object, std::string path, problem_list& problems) : object_(object), path_(std::move(path)), problems_(problems) {}

  const json* find(const char* name) {
    known_.emplace_back(name);
    if (object_ == nullptr)
      return nullptr;
    const auto it = object_->find(name);
    return it == object_->end() || it->is_null() ? nullptr : &*it;
  }

  [[nodiscard]] std::string path_of(std::string_view name) const { return path_.empty() ? std::string{name} : path_ + "." + std::string{name}; }

  void problem(std::string_view name, std::string value, std::string_view rule) {
    problems_.push_back({path_of(name), std::move(value), std::string{rule}});
  }

  std::optional<std::string> text(const char* name) {
    const json* value = find(name);
    if (value == nullptr)
      return std::nullopt;
    if (const auto* s = value->get_ptr<const std::string*>())
      return *s;
    problem(name, shown(*value), value->is_primitive() ? "must be a string; put it in quotes" : "must be a string");
    return std::nullopt;
  }

  bool flag(const char* name) {
    const json* value = find(name);
    if (value != nullptr && !value->is_boolean())
      problem(name, shown(*value), "must be true or false");
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }

  /// The object under `name`, null when absent or not an object. `secret`: its value is not shown.
  const json* object(const char* name, bool secret = false) {
    const json* value = find(name);
    if (value == nullptr || value->is_object())
      return value;
    problem(name, secret ? "" : shown(*value), "must be an object");
    return nullptr;
  }

  std::map<std::string, std::string> text_map(const char* name) {
    std::map<std::string, std::string> out;
    if (const json* map = object(name)) {
      for (const auto& [key, value] : map->items()) {
        if (value.is_string())
          out.emplace(key, value.get<std::string>());
        else
          problem(std::string{name} + "." + shorten(key), shown(value), "must be a string; put it in quotes");
      }
    }
    return out;
  }

  std::optional<wall_time> time(const char* name) {
    const auto value = text(name);
    if (!value || value->empty())
      return std::nullopt;
    const auto parsed = parse_rfc3339(*value);
    if (!parsed)
      problem(name, shorten(*value), "must be a time as in RFC 3339, such as 2026-03-10T10:07:30Z");
    return parsed;
  }

  /// Fields that were given but never asked for. Their values are not shown: a misplaced password is a likely one.
  void report_unknown() {
    if (object_ == nullptr)
      return;
    for (const auto& [key, value] : object_->items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        problem(shorten(key), "", "is not a field of a Repository");
  }

private:
  const json* object_;
  std::string path_;
  problem_list& problems_;
  std::vector<std::string> known_;
};

std::string read_secret_ref(field_reader& parent, const char* path, problem_list& problems) {
  const json* object = parent.object("secretRef", true);
  if (object == nullptr)
    return {};
  field_reader ref{object, path, problems};
  std::string name;
  if (const json* value = ref.find("name")) {
    if (value->is_string())
      name = value->get<std::string>();
    if (!value->is_string() || (!name.empty() && !rfc1123_subdomain(name)))
      ref.problem("name", "", "must be the name of a Secret in the Repository's namespace");
  }
  ref.report_unknown();
  return name;
}

struct userinfo {
  std::size_t begin = 0; ///< first byte
  std::size_t end = 0;   ///< the `@`
  bool password = false;
};

/// True when what should be a port is none: of `user:pa/ss@host`, whose password holds a slash, a reader of URLs sees `user:pa`.
bool no_port(std::string_view authority) {
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.ends_with(']'))
    return false;
  const auto port = authority.substr(colon + 1);
  return port.find_first_not_of("0123456789") != std::string_view::npos;
}

/// Userinfo of `scheme://user:password@host/...` or of `user@host:path`.
std::optional<userinfo> find_userinfo(std::string_view url) {
  const auto scheme = url.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto authority = url.substr(begin, url.find_first_of("/?#", begin) - begin);
  const auto at = authority.rfind('@');
  if (at == std::string_view::npos && scheme != std::string_view::npos && no_port(authority))
    if (const auto last = url.rfind('@'); last != std::string_view::npos && last > begin)
      return userinfo{begin, last, true};
  if (at == std::string_view::npos)
    return std::nullopt;
  return userinfo{begin, begin + at, authority.substr(0, at).find(':') != std::string_view::npos};
}

/// The URL without what could be a secret: userinfo, query and fragment.
std::string shown_url(std::string_view url) {
  std::string out{url};
  if (const auto info = find_userinfo(out))
    out.replace(info->begin, info->end - info->begin, "***");
  out.resize(std::min(out.size(), out.find_first_of("?#")));
  return shorten(out);
}

void check_url(field_reader& git, const std::string& url) {
  if (url.empty())
    return git.problem("repo", "", "is required: the URL of the repository");
  const bool ssh = url.starts_with("ssh://") || url.find("://") == std::string::npos;
  const auto info = find_userinfo(url);
  if (info && (info->password || !ssh))
    git.problem("repo", shown_url(url), "must not carry a user name or password; put them in a Secret and name it in spec.git.secretRef.name");
}

std::string trim_slashes(std::string_view text) {
  const auto first = text.find_first_not_of('/');
  return first == std::string_view::npos ? std::string{} : std::string{text.substr(first, text.find_last_not_of('/') - first + 1)};
}

git_spec read_git(const json& object, problem_list& problems) {
  field_reader git{&object, "spec.git", problems};
  git_spec out;
  const bool wrong_type = git.find("repo") != nullptr && !git.find("repo")->is_string();
  out.repo = wrong_type ? std::string{} : git.text("repo").value_or("");
  if (wrong_type)
    git.problem("repo", "", "must be a string: the URL of the repository");
  else
    check_url(git, out.repo);
  if (auto branch = git.text("branch")) {
    if (!valid_branch_name(*branch))
      git.problem("branch", shorten(*branch), "must be a valid git branch name");
    out.branch = std::move(*branch);
  }
  out.create_branch = git.flag("createBranch");
  const auto directory = git.text("directory").value_or("");
  if (!directory_rule(directory))
    git.problem("directory", shorten(directory),
                "must be a path without '//' that is, without its slashes, at most 63 lower-case letters, digits and '-'");
  out.directory = trim_slashes(directory);
  out.secret_ref = read_secret_ref(git, "spec.git.secretRef", problems);
  out.author = git.text("author").value_or("");
  out.email = git.text("email").value_or("");
  git.report_unknown();
  return out;
}

oci_spec read_oci(const json& object, problem_list& problems) {
  field_reader oci{&object, "spec.oci", problems};
  oci_spec out;
  out.registry = oci.text("registry").value_or("");
  if (out.registry.empty())
    oci.problem("registry", "", "is required: the registry and path of the packages");
  out.secret_ref = read_secret_ref(oci, "spec.oci.secretRef", problems);
  oci.report_unknown();
  return out;
}

sync_spec read_sync(const json& object, problem_list& problems) {
  field_reader sync{&object, "spec.sync", problems};
  sync_spec out;
  out.schedule = sync.text("schedule").value_or("");
  out.run_once_at = sync.time("runOnceAt");
  sync.report_unknown();
  return out;
}

void read_type(field_reader& spec, repository_spec& out) {
  const auto type = spec.text("type").value_or("");
  if (type == "git")
    out.type = repository_type::git;
  else if (type == "oci")
    out.type = repository_type::oci;
  else
    spec.problem("type", shorten(type), "must be git or oci");
  if (out.git && out.oci)
    spec.problem("oci", "", "must not be given together with spec.git");
  else if (out.type == repository_type::git && !out.git)
    spec.problem("git", "", "is required when spec.type is git");
  else if (out.type == repository_type::oci && !out.oci)
    spec.problem("oci", "", "is required when spec.type is oci");
}

repository_spec read_spec(const json* object, problem_list& problems) {
  field_reader spec{object, "spec", problems};
  repository_spec out;
  out.description = spec.text("description").value_or("");
  out.deployment = spec.flag("deployment");
  const auto content = spec.text("content").value_or("");
  if (!content.empty() && content != "Package")
    spec.problem("content", shorten(content), "must be Package or left out");
  if (const json* sync = spec.object("sync"))
    out.sync = read_sync(*sync, problems);
  const json* git = spec.object("git");
  const json* oci = spec.object("oci");
  if (git != nullptr)
    out.git = read_git(*git, problems);
  if (oci != nullptr)
    out.oci = read_oci(*oci, problems);
  read_type(spec, out);
  spec.report_unknown();
  return out;
}

void read_finalizers(field_reader& meta, object_meta& out) {
  const json* list = meta.find("finalizers");
  if (list == nullptr)
    return;
  if (!list->is_array() || !std::all_of(list->begin(), list->end(), [](const json& f) { return f.is_string(); }))
    return meta.problem("finalizers", shown(*list), "must be a list of strings");
  out.finalizers = list->get<std::vector<std::string>>();
}

object_meta read_meta(const json& object, problem_list& problems) {
  field_reader meta{&object, "metadata", problems};
  object_meta out;
  out.key.name = meta.text("name").value_or("");
  out.key.ns = meta.text("namespace").value_or("");
  if (out.key.ns.empty())
    out.key.ns = "default";
  if (!rfc1123_label(out.key.name))
    meta.problem("name", shorten(out.key.name), label_rule);
  if (!rfc1123_label(out.key.ns))
    meta.problem("namespace", shorten(out.key.ns), label_rule);
  out.uid = meta.text("uid").value_or("");
  out.resource_version = meta.text("resourceVersion").value_or("");
  if (const json* generation = meta.find("generation")) {
    if (generation->is_number_integer())
      out.generation = generation->get<std::int64_t>();
    else
      meta.problem("generation", shown(*generation), "must be a whole number");
  }
  out.labels = meta.text_map("labels");
  out.annotations = meta.text_map("annotations");
  out.created = meta.time("creationTimestamp");
  out.deleted = meta.time("deletionTimestamp");
  read_finalizers(meta, out);
  for (const char* name : {"generateName", "selfLink", "deletionGracePeriodSeconds", "ownerReferences", "managedFields"})
    meta.find(name);
  meta.report_unknown();
  return out;
}

failure not_a_repository(std::string what, std::string field = {}) {
  return {ec::invalid_spec, std::move(what), "Repository", std::move(field), std::nullopt};
}

/// Nothing when the JSON is a Repository with a name to speak of.
std::optional<failure> refuse(const json& object) {
  if (object.is_discarded() || !object.is_object())
    return not_a_repository("is not a JSON object");
  const auto text = [](const json& o, const char* key) {
    const auto it = o.find(key);
    return it != o.end() && it->is_string() ? it->get<std::string>() : std::string{};
  };
  if (text(object, "kind") != "Repository")
    return not_a_repository("must be Repository", "kind");
  if (text(object, "apiVersion") != std::string{api_names::config_group} + "/" + std::string{api_names::version})
    return not_a_repository("must be config.porch.kpt.dev/v1alpha1", "apiVersion");
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object())
    return not_a_repository("must be an object with a name", "metadata");
  if (!usable_name(text(*meta, "name")))
    return not_a_repository("is required", "metadata.name");
  const auto ns = text(*meta, "namespace");
  if (!ns.empty() && !usable_name(ns))
    return not_a_repository("must be the name of a namespace", "metadata.namespace");
  return std::nullopt;
}

json parse(std::string_view text) { return json::parse(text, nullptr, false); }

std::string read_text(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string{};
}

std::int64_t read_number(const json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_number_integer() ? it->get<std::int64_t>() : 0;
}

std::optional<wall_time> read_time(const json& object, const char* name) {
  const auto text = read_text(object, name);
  return text.empty() ? std::nullopt : parse_rfc3339(text);
}

condition read_condition(const json& object) {
  return {.type = read_text(object, "type"),
          .status = read_text(object, "status"),
          .reason = read_text(object, "reason"),
          .message = read_text(object, "message"),
          .last_transition = read_time(object, "lastTransitionTime"),
          .observed_generation = read_number(object, "observedGeneration")};
}

json write_condition(const condition& c) {
  json out{{"type", c.type}, {"status", c.status}, {"reason", c.reason}, {"message", c.message}};
  if (c.last_transition)
    out["lastTransitionTime"] = format_rfc3339(*c.last_transition);
  if (c.observed_generation != 0)
    out["observedGeneration"] = c.observed_generation;
  return out;
}

} // namespace

result<repository_object> decode_repository(std::string_view text) {
  const json object = parse(text);
  if (auto why = refuse(object))
    return *std::move(why);
  repository_object out;
  field_reader top{&object, "", out.problems};
  for (const char* name : {"apiVersion", "kind", "metadata", "status"})
    top.find(name);
  out.meta = read_meta(object["metadata"], out.problems);
  const json* spec = top.object("spec");
  if (spec == nullptr && out.problems.empty())
    out.problems.push_back({"spec", "", "is required"});
  if (spec != nullptr)
    out.spec = read_spec(spec, out.problems);
  top.report_unknown();
  return out;
}

repository_status decode_status(std::string_view text) {
  const json object = parse(text);
  repository_status out;
  if (!object.is_object() || !object.contains("status") || !object["status"].is_object())
    return out;
  const json& status = object["status"];
  if (const auto list = status.find("conditions"); list != status.end() && list->is_array())
    for (const json& c : *list)
      if (c.is_object())
        out.conditions.push_back(read_condition(c));
  out.last_full_sync = read_time(status, "lastFullSyncTime");
  out.next_full_sync = read_time(status, "nextFullSyncTime");
  out.next_sync_cause = read_text(status, "nextSyncCause");
  out.observed_generation = read_number(status, "observedGeneration");
  out.observed_run_once_at = read_time(status, "observedRunOnceAt");
  out.package_count = read_number(status, "packageCount");
  out.git_commit_hash = read_text(status, "gitCommitHash");
  out.handled_request = read_text(status, "lastHandledSyncRequest");
  out.fence = read_number(status, "fence");
  out.deletion_permit = read_text(status, "deletionPermit");
  return out;
}

std::string encode_status(const repository_status& status) {
  json out = json::object();
  for (const condition& c : status.conditions)
    out["conditions"].push_back(write_condition(c));
  const auto time = [&](const char* name, const std::optional<wall_time>& t) {
    if (t)
      out[name] = format_rfc3339(*t);
  };
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty())
      out[name] = value;
  };
  const auto number = [&](const char* name, std::int64_t value) {
    if (value != 0)
      out[name] = value;
  };
  time("lastFullSyncTime", status.last_full_sync);
  time("nextFullSyncTime", status.next_full_sync);
  text("nextSyncCause", status.next_sync_cause);
  number("observedGeneration", status.observed_generation);
  time("observedRunOnceAt", status.observed_run_once_at);
  number("packageCount", status.package_count);
  text("gitCommitHash", status.git_commit_hash);
  text("lastHandledSyncRequest", status.handled_request);
  number("fence", status.fence);
  text("deletionPermit", status.deletion_permit);
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool valid_branch_name(std::string_view name) {
  if (name.empty() || name == "@" || name == "HEAD" || name.front() == '-' || name.front() == '/' || name.back() == '/' || name.back() == '.')
    return false;
  for (const std::string_view never : {"..", "//", "@{", "/.", ".lock/"})
    if (name.find(never) != std::string_view::npos)
      return false;
  if (name.front() == '.' || name.ends_with(".lock"))
    return false;
  return std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || std::string_view{"~^:?*[\\"}.find(c) != std::string_view::npos;
  });
}

} // namespace veranda::codec
