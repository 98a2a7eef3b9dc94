#pragma once

#include "actors/common/env.hpp"
#include "actors/common/store_health.hpp"
#include "adapters/store/object_store.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

struct object_store_deps {
  runtime_env env;
  std::shared_ptr<store::object_store> objects;
  /// Called after every write. Thread safe, quick.
  std::function<void()> committed;
  std::shared_ptr<store_health> health = std::make_shared<store_health>();
};

struct object_store_state {
  static constexpr const char* name = "object-store";
  object_store_deps deps;
  cell_ptr cell;
};

/// The only writer of the embedded object store (`object_store_actor`). Blocks on disk: spawn detached.
object_store_actor::behavior_type object_store_writer(object_store_actor::stateful_pointer<object_store_state> self, object_store_deps deps);

} // namespace veranda
