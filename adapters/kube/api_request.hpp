#pragma once

#include "messages/model/object.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veranda::kube {

/// A kind of objects and where the API server serves it.
struct resource_type {
  std::string group; ///< empty for the core group
  std::string version;
  std::string plural;
  std::string kind;
  bool metadata_only = false; ///< of built-in kinds: the server is to leave out everything else, see `metadata_of`
  /// `repositories.config.porch.kpt.dev`.
  [[nodiscard]] std::string name() const { return group.empty() ? plural : plural + "." + group; }
  /// `config.porch.kpt.dev/v1alpha1`.
  [[nodiscard]] std::string api_version() const { return group.empty() ? version : group + "/" + version; }
};

/// `repositories.config.porch.kpt.dev/v1alpha1`.
[[nodiscard]] const resource_type& repositories();

/// The same objects as `PartialObjectMetadata`: lists and watches of them never carry the contents.
[[nodiscard]] resource_type metadata_of(resource_type type);

enum class api_method : std::uint8_t { get, post, put, patch, remove };
[[nodiscard]] std::string_view to_string(api_method method) noexcept;

/// One request, without the server and the credentials.
struct api_request {
  api_method method = api_method::get;
  std::string target; ///< path and query below the server's prefix, percent-encoded
  std::string body;
  std::string content_type;
  std::string accept; ///< empty: JSON
  std::string object; ///< what it is about, for failures: `repositories.config.porch.kpt.dev blue/git`
  std::chrono::milliseconds timeout{0}; ///< from its start to its end, retries included; 0: the client's default
  std::size_t max_bytes = 0;            ///< of the answer; 0: the client's default
  [[nodiscard]] bool changes_something() const noexcept { return method != api_method::get; }
};

/// Which objects of a kind.
struct api_scope {
  std::string ns; ///< empty: all namespaces
  std::string label_selector;
  std::string field_selector;
};

/// Where a list begins.
struct list_position {
  std::string resource_version; ///< empty: the most recent; `0`: whatever the server has at hand; else not older than this
  std::string continue_token;   ///< of the page before; then nothing but this and `limit` is sent
  std::uint32_t limit = 0;      ///< 0: everything at once
};

struct write_options {
  std::string field_manager = "veranda";
  bool dry_run = false;
};

struct preconditions {
  std::string uid;
  std::string resource_version;
};

// Pure builders. Everything that comes from outside is percent-encoded or escaped. An empty namespace in `key` means an object without one.

[[nodiscard]] api_request list_request(const resource_type& type, const api_scope& scope, const list_position& position);
/// With bookmarks; the server ends the stream after `lifetime`.
[[nodiscard]] api_request watch_request(const resource_type& type, const api_scope& scope, const std::string& resource_version, std::chrono::seconds lifetime);
/// Which kinds the API server has in the group and version of `type`.
[[nodiscard]] api_request kinds_request(const resource_type& type);
[[nodiscard]] api_request get_request(const resource_type& type, const object_key& key);
[[nodiscard]] api_request create_request(const resource_type& type, const std::string& ns, std::string json, const write_options& options = {});
/// Replaces the whole object; its JSON must carry metadata.resourceVersion.
[[nodiscard]] api_request replace_request(const resource_type& type, const object_key& key, std::string json, const write_options& options = {});
/// RFC 7386. `subresource` may be empty.
[[nodiscard]] api_request merge_patch_request(const resource_type& type, const object_key& key, std::string_view subresource, std::string patch_json,
                                              const write_options& options = {});
/// Merge patch of `/status` that conflicts when the object is no longer at `resource_version`; nothing else of its metadata counts there, not even the uid.
/// `status_json` is one JSON object.
[[nodiscard]] api_request status_patch_request(const resource_type& type, const object_key& key, const std::string& resource_version, std::string_view status_json,
                                               const write_options& options = {});
/// Replaces the finalizers; `expected.resource_version` must be given, as the whole list is written.
[[nodiscard]] api_request finalizers_patch_request(const resource_type& type, const object_key& key, const preconditions& expected,
                                                   const std::vector<std::string>& finalizers, const write_options& options = {});
/// Dependents are removed in the background.
[[nodiscard]] api_request delete_request(const resource_type& type, const object_key& key, const preconditions& expected = {});

} // namespace veranda::kube
