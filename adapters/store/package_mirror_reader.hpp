#pragma once

#include "adapters/store/package_cache.hpp"

#include <filesystem>
#include <memory>

namespace veranda::store {

/// A current revision with the uid of its Repository object.
struct owned_revision {
  cached_revision cached;
  std::string repository_uid;
};

/// What became of one name.
struct revision_change {
  std::int64_t position = 0;
  object_key name;
  std::optional<owned_revision> now; ///< nothing: it left the cache
};

/// A repository that has rows.
struct cached_repository {
  std::string uid;
  bool synced = false; ///< a sync of it has succeeded: what is not cached of it is not there
  bool operator==(const cached_repository&) const = default;
};

/// Reads the package cache for those who keep a copy of what is current elsewhere. Used by one thread at a time; never blocks the writer. All calls block on disk.
/// Failures: `unavailable`, `corrupt_cache`.
class package_mirror_reader {
public:
  virtual ~package_mirror_reader() = default;
  /// Calls `f` for each current revision; answers the feed position that this is consistent with.
  virtual result<std::int64_t> list(const std::function<void(const owned_revision&)>& f) = 0;
  virtual result<std::optional<owned_revision>> get(const object_key& name) = 0;
  /// What became of the names that the feed has after `position`, oldest first, at most `limit`, and the position reached. States that a later entry replaces are left
  /// out. `stale` when the feed does not reach back that far, or the position is from the future.
  virtual result<std::int64_t> changes_after(std::int64_t position, std::size_t limit, std::vector<revision_change>& out) = 0;
  /// Nothing when it has no rows.
  virtual result<std::optional<cached_repository>> repository(const object_key& key) = 0;
  /// True when another file has taken the place of the one that is read: open a new reader.
  [[nodiscard]] virtual bool outdated() const = 0;
};

/// Connections of its own to a file that `open_package_cache` has opened before.
[[nodiscard]] result<std::unique_ptr<package_mirror_reader>> open_package_mirror_reader(const std::filesystem::path& file);

} // namespace veranda::store
