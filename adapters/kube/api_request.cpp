#include "adapters/kube/api_request.hpp"

#include "adapters/codec/json_writer.hpp"
#include "messages/model/repository.hpp"

#include <utility>

namespace veranda::kube {

namespace {

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) out += c;
    else (out += '%').append({hex[byte >> 4U], hex[byte & 15U]});
  }
}

/// A path and query under construction.
class target {
public:
  target(const resource_type& type, const std::string& ns) {
    text_ = type.group.empty() ? "/api" : "/apis";
    if (!type.group.empty()) segment(type.group);
    segment(type.version);
    if (!ns.empty()) segment("namespaces").segment(ns);
    segment(type.plural);
  }
  target& segment(std::string_view name) {
    text_ += '/';
    // `.` and `..` would be taken for directories.
    if (name == "." || name == "..")
      for (std::size_t i = 0; i < name.size(); ++i) text_ += "%2E";
    else append_encoded(text_, name);
    return *this;
  }
  target& query(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    text_ += std::exchange(asked_, true) ? '&' : '?';
    (text_ += name) += '=';
    append_encoded(text_, value);
    return *this;
  }
  target& write(const write_options& options) { return query("fieldManager", options.field_manager).query("dryRun", options.dry_run ? "All" : ""); }
  target& select(const api_scope& scope) { return query("labelSelector", scope.label_selector).query("fieldSelector", scope.field_selector); }
  std::string take() { return std::move(text_); }

private:
  std::string text_;
  bool asked_ = false;
};

target object_target(const resource_type& type, const object_key& key) { return std::move(target{type, key.ns}.segment(key.name)); }

std::string label(const resource_type& type, const object_key& key) {
  if (key.name.empty()) return key.ns.empty() ? type.name() : type.name() + " in " + key.ns;
  return type.name() + " " + (key.ns.empty() ? key.name : to_string(key));
}

api_request make(api_method method, std::string where, const resource_type& type, const object_key& key) {
  api_request out;
  out.method = method;
  out.target = std::move(where);
  out.object = label(type, key);
  return out;
}

/// Whole objects are not named as a way out: a server that knows no other answer is to refuse.
std::string accepted(const resource_type& type, std::string_view what) {
  return type.metadata_only ? "application/json;as=" + type.kind + std::string{what} + ";g=meta.k8s.io;v=v1" : std::string{};
}

codec::json_writer& expect(codec::json_writer& json, const preconditions& expected) {
  if (!expected.uid.empty()) json.key("uid").text(expected.uid);
  if (!expected.resource_version.empty()) json.key("resourceVersion").text(expected.resource_version);
  return json;
}

} // namespace

const resource_type& repositories() {
  static const resource_type type{std::string{api_names::config_group}, std::string{api_names::version}, "repositories", "Repository"};
  return type;
}

resource_type metadata_of(resource_type type) {
  type.kind = "PartialObjectMetadata";
  type.metadata_only = true;
  return type;
}

std::string_view to_string(api_method method) noexcept {
  constexpr std::string_view names[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
  return names[static_cast<std::size_t>(method)];
}

api_request list_request(const resource_type& type, const api_scope& scope, const list_position& position) {
  target where{type, scope.ns};
  where.select(scope);
  if (position.limit != 0) where.query("limit", std::to_string(position.limit));
  if (!position.continue_token.empty()) where.query("continue", position.continue_token);
  else where.query("resourceVersion", position.resource_version);
  auto out = make(api_method::get, where.take(), type, {scope.ns, {}});
  out.accept = accepted(type, "List");
  return out;
}

api_request watch_request(const resource_type& type, const api_scope& scope, const std::string& resource_version, std::chrono::seconds lifetime) {
  target where{type, scope.ns};
  where.query("watch", "true").query("allowWatchBookmarks", "true").query("resourceVersion", resource_version);
  where.query("timeoutSeconds", std::to_string(lifetime.count())).select(scope);
  auto out = make(api_method::get, where.take(), type, {scope.ns, {}});
  out.accept = accepted(type, "");
  return out;
}

api_request kinds_request(const resource_type& type) {
  return make(api_method::get, (type.group.empty() ? "/api/" : "/apis/" + type.group + "/") + type.version, type, {});
}

api_request get_request(const resource_type& type, const object_key& key) { return make(api_method::get, object_target(type, key).take(), type, key); }

api_request create_request(const resource_type& type, const std::string& ns, std::string json, const write_options& options) {
  auto out = make(api_method::post, target{type, ns}.write(options).take(), type, {ns, {}});
  out.body = std::move(json);
  out.content_type = "application/json";
  return out;
}

api_request replace_request(const resource_type& type, const object_key& key, std::string json, const write_options& options) {
  auto out = make(api_method::put, object_target(type, key).write(options).take(), type, key);
  out.body = std::move(json);
  out.content_type = "application/json";
  return out;
}

api_request merge_patch_request(const resource_type& type, const object_key& key, std::string_view subresource, std::string patch_json,
                                const write_options& options) {
  auto where = object_target(type, key);
  if (!subresource.empty()) where.segment(subresource);
  auto out = make(api_method::patch, where.write(options).take(), type, key);
  out.body = std::move(patch_json);
  out.content_type = "application/merge-patch+json";
  return out;
}

api_request status_patch_request(const resource_type& type, const object_key& key, const std::string& resource_version, std::string_view status_json,
                                 const write_options& options) {
  std::string body;
  codec::json_writer json{body};
  json.begin_object().key("metadata").begin_object();
  expect(json, {{}, resource_version}).end_object().key("status").raw(status_json).end_object();
  return merge_patch_request(type, key, "status", std::move(body), options);
}

api_request finalizers_patch_request(const resource_type& type, const object_key& key, const preconditions& expected, const std::vector<std::string>& finalizers,
                                     const write_options& options) {
  std::string body;
  codec::json_writer json{body};
  json.begin_object().key("metadata").begin_object();
  expect(json, expected).key("finalizers").begin_array();
  for (const auto& f : finalizers) json.text(f);
  json.end_array().end_object().end_object();
  return merge_patch_request(type, key, {}, std::move(body), options);
}

api_request delete_request(const resource_type& type, const object_key& key, const preconditions& expected) {
  auto out = make(api_method::remove, object_target(type, key).take(), type, key);
  codec::json_writer json{out.body};
  json.begin_object().key("kind").text("DeleteOptions").key("apiVersion").text("v1").key("propagationPolicy").text("Background");
  if (!expected.uid.empty() || !expected.resource_version.empty()) {
    json.key("preconditions").begin_object();
    expect(json, expected).end_object();
  }
  json.end_object();
  out.content_type = "application/json";
  return out;
}

} // namespace veranda::kube
