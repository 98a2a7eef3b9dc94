#include "actors/watcher/watcher.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/reflector.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

using self_ptr = watcher_actor::stateful_pointer<watcher_state>;

const char* name_of(source::repository_event_type type) {
  constexpr const char* names[] = {"added", "modified", "deleted", "bookmark"};
  return names[static_cast<unsigned>(type)];
}

result<void> list(watcher_state& st, self_ptr self) {
  const handling h{*st.cell, "continue_reading", self->mailbox().size()};
  st.cell->set_state("listing");
  auto listed = st.deps.source->list();
  if (!listed)
    return listed.error();
  st.position = listed->resource_version;
  if (st.deps.problem)
    st.deps.problem(std::nullopt);
  log::info(watcher_state::name, "listed Repository objects", {{"count", std::to_string(listed->items.size())}, {"resource_version", st.position}});
  self->send(st.deps.supervisor, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(listed->items))});
  return {};
}

result<void> follow(watcher_state& st, self_ptr self) {
  st.cell->set_state("watching");
  auto events = st.deps.source->poll(st.position, st.deps.slice); // mostly waiting, so it does not count as work
  const handling h{*st.cell, "continue_reading", self->mailbox().size()};
  if (!events)
    return events.error();
  for (auto& event : *events) {
    st.deps.env.telemetry->watch_event(name_of(event.type));
    st.position = event.object.meta.resource_version;
    if (event.type == source::repository_event_type::bookmark)
      continue;
    log::debug(watcher_state::name, "watch event", {{"type", name_of(event.type)}, {"key", to_string(event.object.meta.key)}});
    const bool deleted = event.type == source::repository_event_type::deleted;
    self->send(st.deps.supervisor, msg::repository_changed{std::make_shared<const repository_object>(std::move(event.object)), deleted});
  }
  st.cell->set_detail("resource_version", st.position);
  return {};
}

/// A failure loses the position: the next list heals whatever was missed.
void back_off(self_ptr self, const failure& why) {
  auto& st = self->state;
  st.position.clear();
  st.cell->set_state("backing off");
  st.cell->set_last_error(describe(why));
  st.deps.env.telemetry->watch_restarted(to_string(logic::loss_by(why)));
  const auto delay = why.code == ec::stale ? std::chrono::milliseconds{0}
                                           : std::min<std::chrono::milliseconds>(st.deps.backoff_max, st.deps.backoff_initial * (1LL << std::min(st.failures++, 10U)));
  if (st.deps.problem)
    st.deps.problem(why);
  else
    log::warn(watcher_state::name, "the watch of Repository objects ended; listing again", {{"err", describe(why)}, {"in", format_go_duration(delay)}});
  self->delayed_send(self, delay, msg::continue_reading{});
}

} // namespace

watcher_actor::behavior_type watcher(self_ptr self, watcher_deps deps) {
  install_default_handlers(self, watcher_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(watcher_state::name);
  self->send(self, msg::continue_reading{});
  return {
    [self](const msg::continue_reading&) {
      auto& st = self->state;
      if (auto read = st.position.empty() ? list(st, self) : follow(st, self); !read) {
        back_off(self, read.error());
        return;
      }
      st.failures = 0;
      self->send(self, msg::continue_reading{});
    },
  };
}

} // namespace veranda
