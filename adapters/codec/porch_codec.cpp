#include "adapters/codec/porch_codec.hpp"

#include "adapters/codec/json_writer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace veranda::codec {
namespace {

constexpr std::string_view api_version = "porch.kpt.dev/v1alpha1";
constexpr std::string_view latest_label = "kpt.dev/latest-revision";
constexpr std::string_view binary_annotation = "veranda.dev/binary-resources";
/// Namespace UUID of every UID that Porch derives from names, by version 5 of RFC 4122.
constexpr std::string_view uid_namespace = "aac71d91-5c67-456f-8fd2-902ef6da820e";

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

void begin_kind(json_writer& w, std::string_view kind) {
  w.begin_object();
  w.key("apiVersion").text(api_version);
  w.key("kind").text(kind);
}

/// `metadata` up to and including the labels; the object stays open.
void begin_metadata(json_writer& w, const store::cached_revision& r) {
  w.key("metadata").begin_object();
  w.key("name").text(r.revision.name);
  w.key("namespace").text(r.repository.ns);
  w.member("uid", r.revision.uid);
  w.member("resourceVersion", r.resource_version);
  if (r.created != wall_time{})
    w.key("creationTimestamp").text(format_rfc3339(r.created));
  if (r.revision.latest)
    w.key("labels").begin_object().key(latest_label).text("true").end_object();
}

void write_identity(json_writer& w, const store::cached_revision& r) {
  w.key("packageName").text(r.revision.key.package_name());
  w.key("repository").text(r.repository.name);
  w.key("workspaceName").text(r.revision.key.workspace);
  w.member("revision", r.revision.key.revision);
}

void write_lock(json_writer& w, std::string_view name, const git_lock& lock) {
  w.key(name).begin_object().key("type").text("git").key("git").begin_object();
  w.member("repo", lock.repo).member("directory", lock.directory).member("ref", lock.ref).member("commit", lock.commit);
  w.end_object().end_object();
}

void write_spec(json_writer& w, const store::cached_revision& r) {
  const package_revision& p = r.revision;
  w.key("spec").begin_object();
  write_identity(w, r);
  w.key("lifecycle").text(to_string(p.lifecycle));
  if (!p.task_json.empty() && nlohmann::json::accept(p.task_json))
    w.key("tasks").begin_array().raw(p.task_json).end_array();
  if (!p.kptfile.readiness_gates.empty()) {
    w.key("readinessGates").begin_array();
    for (const auto& gate : p.kptfile.readiness_gates)
      w.begin_object().key("conditionType").text(gate).end_object();
    w.end_array();
  }
  if (!p.kptfile.labels.empty() || !p.kptfile.annotations.empty()) {
    w.key("packageMetadata").begin_object();
    w.member_map("labels", p.kptfile.labels).member_map("annotations", p.kptfile.annotations);
    w.end_object();
  }
  w.end_object();
}

void write_status(json_writer& w, const store::cached_revision& r) {
  const package_revision& p = r.revision;
  w.key("status").begin_object();
  if (p.kptfile.upstream_lock)
    write_lock(w, "upstreamLock", *p.kptfile.upstream_lock);
  if (p.self_lock != git_lock{})
    write_lock(w, "selfLock", p.self_lock);
  if (p.lifecycle == lifecycle::published || p.lifecycle == lifecycle::deletion_proposed) {
    w.member("publishedBy", p.published_by);
    if (p.published_at)
      w.key("publishTimestamp").text(format_rfc3339(*p.published_at));
  }
  if (r.deployment)
    w.key("deployment").boolean(true);
  if (!p.kptfile.conditions.empty()) {
    w.key("conditions").begin_array();
    for (const auto& c : p.kptfile.conditions) {
      w.begin_object().key("type").text(c.type).key("status").text(c.status);
      w.member("reason", c.reason).member("message", c.message).end_object();
    }
    w.end_array();
  }
  w.end_object();
}

/// Whether a file can be a JSON string without losing a byte.
bool is_text(const package_file& file, std::string_view data) {
  return file.kind != file_kind::omitted_too_large && data.find('\0') == std::string_view::npos && valid_utf8(data) && valid_utf8(file.path);
}

} // namespace

std::string encode_package_revision(const store::cached_revision& r) {
  std::string out;
  out.reserve(1024);
  json_writer w{out};
  begin_kind(w, "PackageRevision");
  begin_metadata(w, r);
  w.end_object();
  write_spec(w, r);
  write_status(w, r);
  w.end_object();
  return out;
}

std::string encode_package_revision_resources(const store::cached_revision& r, const std::vector<std::pair<package_file, std::string>>& files) {
  std::string out;
  std::size_t bytes = 1024;
  std::string binary;
  for (const auto& [file, data] : files) {
    bytes += data.size() + data.size() / 8 + file.path.size() + 8;
    if (!is_text(file, data))
      binary += (binary.empty() ? "" : ", ") + file.path + " (" + std::to_string(file.size_bytes) + ")";
  }
  out.reserve(bytes);
  json_writer w{out};
  begin_kind(w, "PackageRevisionResources");
  begin_metadata(w, r);
  if (!binary.empty())
    w.key("annotations").begin_object().key(binary_annotation).text(binary).end_object();
  w.end_object();
  w.key("spec").begin_object();
  write_identity(w, r);
  w.key("resources").begin_object();
  for (const auto& [file, data] : files)
    if (is_text(file, data))
      w.key(file.path).text(data);
  w.end_object().end_object();
  w.key("status").begin_object().key("renderStatus").begin_object().end_object().end_object();
  w.end_object();
  return out;
}

std::string package_object_name(const std::string& repository, const std::string& package_name) {
  std::string middle = package_name;
  std::replace(middle.begin(), middle.end(), '/', '.');
  const auto first = middle.find_first_not_of('.');
  if (repository.empty() || first == std::string::npos)
    return {};
  return repository + "." + middle.substr(first, middle.find_last_not_of('.') - first + 1);
}

std::string encode_package(const object_key& repository, const std::string& package_name, std::int64_t latest_revision,
                           const std::string& resource_version) {
  const std::string name = package_object_name(repository.name, package_name);
  std::string out;
  json_writer w{out};
  begin_kind(w, "Package");
  w.key("metadata").begin_object();
  w.key("name").text(name);
  w.key("namespace").text(repository.ns);
  w.key("uid").text(uuid_v5(uid_namespace, "dbPackage:" + std::string{api_version} + "/" + lower(repository.ns) + "/" + lower(name)));
  w.member("resourceVersion", resource_version);
  w.end_object();
  w.key("spec").begin_object().key("packageName").text(package_name).key("repository").text(repository.name).end_object();
  w.key("status").begin_object().member("latestRevision", latest_revision).end_object();
  w.end_object();
  return out;
}

} // namespace veranda::codec
