#pragma once

#include "messages/model/repository.hpp"

#include <chrono>
#include <vector>

namespace veranda::source {

enum class repository_event_type : std::uint8_t { added, modified, deleted, bookmark };

struct repository_event {
  repository_event_type type = repository_event_type::added;
  repository_object object; ///< for a bookmark only `meta.resource_version` is set
};

struct repository_list {
  std::string resource_version;
  std::vector<repository_object> items;
};

/// Where Repository objects come from: the embedded object store, or the API server. Used by the watcher's own thread.
class repository_source {
public:
  virtual ~repository_source() = default;
  /// Everything there is. Blocks at most the source's own deadline.
  virtual result<repository_list> list() = 0;
  /// What happened after `resource_version`, waiting at most `slice` (250 ms or less) for the first event; empty when nothing did.
  /// `stale`: the position is too old, list again.
  virtual result<std::vector<repository_event>> poll(const std::string& resource_version, std::chrono::milliseconds slice) = 0;
  /// Thread safe: the wait under way and all later ones end at once. Said when the program ends.
  virtual void interrupt() {}
};

} // namespace veranda::source
