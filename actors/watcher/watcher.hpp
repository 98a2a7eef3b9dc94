#pragma once

#include "actors/common/env.hpp"
#include "adapters/source/repository_source.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

struct watcher_deps {
  runtime_env env;
  std::shared_ptr<source::repository_source> source;
  supervisor_actor supervisor;
  std::chrono::milliseconds slice{250};
  std::chrono::milliseconds backoff_initial{1'000};
  std::chrono::milliseconds backoff_max{30'000};
  /// Hears of every failure, and of every list that went well (nothing), in place of the log. May be empty.
  std::function<void(const std::optional<failure>&)> problem = {};
};

struct watcher_state {
  static constexpr const char* name = "watcher";
  watcher_deps deps;
  cell_ptr cell;
  std::string position; ///< resourceVersion to go on from; empty: list first
  unsigned failures = 0; ///< in a row
};

/// Follows a `repository_source` (`watcher_actor`): list, then events from its position; a position that is too old, or any failure, is followed by a new list after 1 s to 30 s. Decides
/// nothing. Blocks in slices: spawn detached.
watcher_actor::behavior_type watcher(watcher_actor::stateful_pointer<watcher_state> self, watcher_deps deps);

} // namespace veranda
