#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/stored_object.hpp"

#include <memory>
#include <string>
#include <vector>

namespace veranda::store {

enum class watch_event : std::uint8_t { added, modified, deleted, bookmark };

struct object_event {
  watch_event type = watch_event::added;
  stored_object object; ///< for a bookmark only `resource_version` is set
};

struct object_list {
  std::int64_t resource_version = 0;
  std::vector<stored_object> items; ///< ordered by namespace and name
};

/// Read side of the embedded object store; any number, each used by one thread at a time. Blocks on disk only.
class object_store_reader {
public:
  virtual ~object_store_reader() = default;
  /// `ns` empty: all namespaces.
  virtual result<object_list> list(const std::string& resource, const std::string& ns) = 0;
  virtual result<std::optional<stored_object>> get(const std::string& resource, const object_key& key) = 0;
  /// Events of one resource after `resource_version`, oldest first, at most `limit`; the events kept are bounded, `stale` when the position is
  /// older than the oldest kept or from the future.
  virtual result<std::vector<object_event>> events_after(const std::string& resource, std::int64_t resource_version, std::size_t limit) = 0;
  /// Waits at most `wait` for the store to move beyond `resource_version`; answers its current one. Blocks the calling thread.
  virtual result<std::int64_t> wait_beyond(std::int64_t resource_version, std::chrono::milliseconds wait) = 0;
  /// Thread safe: the wait under way and all later ones end at once. Said when the program ends.
  virtual void interrupt() {}
};

/// Write side, Kubernetes semantics: random uid, one store-wide resourceVersion sequence, generation that moves only when something outside
/// metadata and status changes, status apart from spec, a write that changes nothing keeps the resourceVersion and emits no event,
/// finalizers honoured on delete. Used by one thread (the `object_store` actor). Failures: `conflict` (resourceVersion or uid mismatch, already
/// exists), `not_found`, `invalid_spec` (not an object, names missing), `unavailable` (disk full, busy), `corrupt_cache`.
class object_store {
public:
  virtual ~object_store() = default;
  /// `json` without uid and resourceVersion. Status is dropped.
  virtual result<stored_object> create(const std::string& resource, const std::string& json) = 0;
  /// Replaces all but status; when the given JSON carries metadata.resourceVersion or uid they must match.
  virtual result<stored_object> update(const std::string& resource, const std::string& json) = 0;
  /// Replaces the status alone. `uid` must match when not empty.
  virtual result<stored_object> update_status(const std::string& resource, const object_key& key, const std::string& uid, const std::string& status_json) = 0;
  /// RFC 7386 merge patch on all but status; metadata.resourceVersion in the patch is a precondition.
  virtual result<stored_object> merge_patch(const std::string& resource, const object_key& key, const std::string& patch_json) = 0;
  /// Deletes, or sets deletionTimestamp when there are finalizers.
  virtual result<stored_object> remove(const std::string& resource, const object_key& key) = 0;
};

} // namespace veranda::store
