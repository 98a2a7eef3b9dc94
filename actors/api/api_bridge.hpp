#pragma once

#include "actors/workers/mirror_shelf.hpp"
#include "adapters/api/api_server.hpp"
#include "messages/actor_handles.hpp"

#include <caf/fwd.hpp>

namespace veranda {

// How the API's threads reach actors: each call is a request with a deadline, made by a scoped actor of the calling thread (which is none of CAF's).

/// Writes of API clients go to the `object_store` actor.
std::shared_ptr<api::object_writer> make_object_writer(caf::actor_system& system, object_store_actor objects);

/// Adds, under `state`, what the repository itself answers about its machine to a dump of `name` (`ns/name`, or a name in namespace `default`).
result<std::string> add_deep_state(caf::actor_system& system, const supervisor_actor& supervisor, const std::string& name, std::string dump);

/// What the repository itself answers about what it does, and why. `not_found` when none of this name runs.
result<std::string> explain_repository(caf::actor_system& system, const supervisor_actor& supervisor, const mirror_shelf& mirrors, const object_key& key, wall_time now);

} // namespace veranda
