#include "actors/supervisor/holdups.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/condition_builder.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

void say_holdup(supervisor_actor::stateful_pointer<supervisor_state> self, const std::string& uid, const failure& why) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end() || class_of(why.code) != error_class::wait || std::exchange(at->second.holdup, why.what) == why.what)
    return;
  const auto& r = at->second;
  log::warn(supervisor_state::name, "a Repository that is being deleted waits; trying again", {{"key", to_string(r.key)}, {"err", why.what}});
  auto status = r.status;
  status.conditions = {{"Ready", "False", "Error", "it is being deleted, and waits: " + why.what, {}, r.generation}};
  logic::stamp(status.conditions, r.status.conditions, r.generation, st.deps.env.wall_now());
  self->send(st.deps.repository.status, msg::publish_status{r.key, uid, std::move(status), {}});
}

void end_holdup(supervisor_actor::stateful_pointer<supervisor_state> self, const std::string& uid) {
  const auto at = self->state.releases.find(uid);
  if (at != self->state.releases.end() && !std::exchange(at->second.holdup, {}).empty())
    self->send(self->state.deps.repository.status, msg::forget_status{at->second.key, uid});
}

} // namespace veranda
