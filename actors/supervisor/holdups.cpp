#include "actors/supervisor/holdups.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/condition_builder.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

using self_ptr = supervisor_pointer;

/// One of them, and how many there are.
void tell(const supervisor_state& st) {
  if (!st.deps.held_up)
    return;
  std::string text;
  std::size_t all = 0;
  for (const auto& [uid, r] : st.releases)
    if (!r.holdup.empty() && all++ == 0)
      text = to_string(r.key) + " waits: " + r.holdup;
  st.deps.held_up(all > 1 ? text + " (and " + std::to_string(all - 1) + " more)" : text);
}

} // namespace

void say_holdup(self_ptr self, const std::string& uid, const failure& why) {
  auto& st = self->state;
  const auto at = st.releases.find(uid);
  if (at == st.releases.end() || class_of(why.code) != error_class::wait || std::exchange(at->second.holdup, why.what) == why.what)
    return;
  const auto& r = at->second;
  tell(st);
  log::warn(supervisor_state::name, "a Repository that is being deleted waits; trying again", {{"key", to_string(r.key)}, {"err", why.what}});
  auto status = logic::blocked_status(r.status, "it is being deleted, and waits: " + why.what, r.generation, st.deps.env.wall_now());
  self->send(st.deps.repository.status, msg::publish_status{r.key, uid, std::move(status), {}});
}

void end_holdup(self_ptr self, const std::string& uid) {
  const auto at = self->state.releases.find(uid);
  if (at == self->state.releases.end() || std::exchange(at->second.holdup, {}).empty())
    return;
  self->send(self->state.deps.repository.status, msg::forget_status{at->second.key, uid});
  tell(self->state);
}

} // namespace veranda
