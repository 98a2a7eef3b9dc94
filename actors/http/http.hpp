#pragma once

#include "actors/common/env.hpp"
#include "adapters/git/http_listing.hpp"
#include "adapters/secrets/secret_source.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

struct http_deps {
  runtime_env env;
  std::shared_ptr<git::listing_engine> engine;
  std::shared_ptr<secrets::secret_source> secrets;
  std::chrono::milliseconds slice{100};
};

struct http_state {
  static constexpr const char* name = "http";
  http_deps deps;
  cell_ptr cell;
  bool driving = false;

  http_state() = default;
  http_state(const http_state&) = delete;
  http_state& operator=(const http_state&) = delete;
  /// Those who wait are answered while there are actors: the engine lives longer.
  ~http_state() {
    if (deps.engine)
      deps.engine->abandon();
  }
};

/// Ref listings over http(s) (`http_actor`). Blocks in slices: spawn detached, and wake the engine after sending, so that a slice ends early.
http_actor::behavior_type http_listings(http_actor::stateful_pointer<http_state> self, http_deps deps);

} // namespace veranda
