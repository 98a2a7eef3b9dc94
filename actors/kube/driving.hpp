#pragma once

#include "adapters/kube/api_client.hpp"
#include "messages/local.hpp"

#include <utility>

namespace veranda {

// How an actor that owns an `api_client` lets its calls proceed: by messages to itself, in slices, as long as any is under way. `State` has `deps.client`, `deps.slice`
// (the longest wait for the API server) and `driving`.

/// After starting calls: goes on with them once the message at hand is done.
template <class Self>
void drive_soon(Self self) {
  if (!std::exchange(self->state.driving, true))
    self->send(self, msg::continue_transfers{});
}

/// One slice; `shown` then shows where things stand. Blocks for a slice at most.
template <class Self, class Show>
void drive(Self self, Show shown) {
  auto& st = self->state;
  if (st.deps.client->active() > 0)
    st.deps.client->run_for(st.deps.slice);
  shown(st);
  st.driving = st.deps.client->active() > 0;
  if (st.driving)
    self->send(self, msg::continue_transfers{});
}

/// For the destructor of such a state, which has `alive`: nobody hears of calls that are under way, and nothing they hold keeps the actor.
template <class State>
void drop_calls(State& state) {
  state.alive.reset();
  if (state.deps.client)
    state.deps.client->abandon();
}

} // namespace veranda
