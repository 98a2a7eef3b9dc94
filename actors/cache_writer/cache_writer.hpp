#pragma once

#include "actors/common/env.hpp"
#include "actors/common/store_health.hpp"
#include "adapters/store/package_cache.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

struct cache_writer_deps {
  runtime_env env;
  /// Opens the cache. A file that cannot be opened because it is damaged is moved aside first.
  std::function<result<std::unique_ptr<store::package_cache>>()> open;
  /// Moves a file aside that an operation found damaged.
  std::function<result<void>()> set_aside;
  /// For the durable states, which are read on this actor's thread.
  std::function<result<std::unique_ptr<store::package_cache_reader>>()> open_reader;
  /// Called after every transaction that readers may want to see. Thread safe, quick.
  std::function<void()> committed;
  std::shared_ptr<store_health> health = std::make_shared<store_health>();
  std::chrono::seconds sweep_interval{600};
  std::chrono::seconds sweep_age{3600};
  std::size_t sweep_rows = 2000;
  std::chrono::seconds check_interval{600}; ///< a look through the whole file is not repeated sooner
};

struct cache_writer_state {
  static constexpr const char* name = "cache-writer";
  cache_writer_deps deps;
  std::unique_ptr<store::package_cache> cache;
  cell_ptr cell;
  std::optional<std::chrono::steady_clock::time_point> checked; ///< when the file was last looked through
  bool damaged = false; ///< what was open is to be moved aside before anything is opened
};

/// Serialises all mutation of the package cache (`cache_writer_actor`). Blocks on disk: spawn detached. Damage of the file is an answer (`stale`: the claims of the old
/// file mean nothing in the new one, which is rebuilt from the remotes), never the end of this actor.
cache_writer_actor::behavior_type cache_writer(cache_writer_actor::stateful_pointer<cache_writer_state> self, cache_writer_deps deps);

} // namespace veranda
