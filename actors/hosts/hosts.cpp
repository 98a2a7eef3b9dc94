#include "actors/hosts/hosts.hpp"

#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

using self_ptr = host_keeper_actor::stateful_pointer<host_keeper_state>;
using kind = logic::host_answer::kind;

logic::host_visitor visitor(const msg::enter_host& m) { return {m.host, m.remote, m.budget, m.user, m.fetch}; }

/// Steady time as people read it.
std::string at(self_ptr self, steady_time t) {
  return format_rfc3339(self->state.deps.env.wall_now() + std::chrono::duration_cast<wall_time::duration>(t - self->clock().now()));
}

failure refusal(self_ptr self, const msg::enter_host& who, const logic::host_answer& answer) {
  const auto now = self->clock().now();
  if (answer.what == kind::paused)
    return {ec::overloaded, who.host + " limits how often it is asked, and is left alone until " + at(self, now + answer.wait), {}, {}, answer.wait};
  const auto seen = self->state.table->view(who.host, now);
  return {ec::host_unavailable,
          who.host + " has not answered since " + at(self, seen.since) + " (" + seen.cause + ")",
          {},
          {},
          answer.wait};
}

void count(self_ptr self) {
  auto& st = self->state;
  std::size_t down = 0, paused = 0;
  const auto now = self->clock().now();
  for (const auto& [host, t] : st.troubled) {
    const auto seen = st.table->view(host, now);
    down += seen.condition != logic::host_condition::up ? 1 : 0;
    paused += seen.pauses.empty() ? 0 : 1;
  }
  st.deps.env.telemetry->hosts(down, paused);
  st.cell->set_detail("unavailable", std::to_string(down));
  st.cell->set_detail("paused", std::to_string(paused));
}

/// Shows a host that is in trouble, and forgets one that no longer is.
void show(self_ptr self, const std::string& host) {
  auto& st = self->state;
  const auto now = self->clock().now();
  const auto seen = st.table->view(host, now);
  if (seen.condition == logic::host_condition::up && seen.pauses.empty()) {
    st.troubled.erase(host);
    count(self);
    return;
  }
  auto& t = st.troubled[host];
  if (!t.cell)
    t.cell = st.deps.env.cells->add("host", host);
  const bool down = seen.condition != logic::host_condition::up;
  t.cell->set_state(!down ? "left alone" : seen.condition == logic::host_condition::probing ? "probing" : "unavailable");
  t.cell->set_detail("held", std::to_string(t.held.size()));
  t.cell->set_detail("since", down ? at(self, seen.since) : "");
  t.cell->set_last_error(down ? seen.cause : "");
  if (down)
    t.cell->arm_timer("probe", st.deps.env.wall_now() + std::chrono::duration_cast<wall_time::duration>(seen.next_probe - now));
  else
    t.cell->disarm_timer("probe");
  std::string pauses;
  for (const auto& [budget, end] : seen.pauses)
    pauses += (pauses.empty() ? "" : ", ") + (budget == "*" ? std::string{"all"} : budget.empty() ? "anonymous" : budget) + " until " + at(self, end);
  t.cell->set_detail("paused", pauses);
  if (const auto due = st.table->next_due(host, now); due && t.armed != due) {
    t.armed = due;
    self->delayed_send(self, *due - now + std::chrono::milliseconds{1}, msg::host_due{host, ++t.epoch});
  }
  count(self);
}

void answer(self_ptr self, const msg::enter_host& who, const logic::host_answer& decided, caf::typed_response_promise<msg::host_pass> promise) {
  switch (decided.what) {
  case kind::pass:
  case kind::probe: promise.deliver(msg::host_pass{decided.probe}); return;
  case kind::hold: self->state.troubled[who.host].held.push_back({who, std::move(promise)}); return;
  case kind::unavailable:
  case kind::paused:
    self->state.deps.env.telemetry->held_back(decided.what == kind::paused ? "paused" : "unavailable");
    promise.deliver(to_error(refusal(self, who, decided)));
  }
}

/// The probe that they waited for is over. A person among them has waited for a try: another one is made when it is due.
void let_in(self_ptr self, const std::string& host) {
  auto& st = self->state;
  const auto troubled = st.troubled.find(host);
  if (troubled == st.troubled.end())
    return;
  for (auto& held : std::exchange(troubled->second.held, {})) {
    held.who.user = false;
    answer(self, held.who, st.table->enter(visitor(held.who), self->clock().now()), std::move(held.promise));
  }
}

void changed(self_ptr self, const std::string& host, logic::host_change what) {
  auto& st = self->state;
  const auto now = self->clock().now();
  switch (what) {
  case logic::host_change::nothing: return;
  case logic::host_change::opened: {
    const auto seen = st.table->view(host, now);
    log::warn(host_keeper_state::name, "a host does not answer: its remotes wait, one of them tries it now and then",
              {{"host", host}, {"since", at(self, seen.since)}, {"next", at(self, seen.next_probe)}, {"err", seen.cause}});
    st.deps.env.telemetry->host_changed(false);
    break;
  }
  case logic::host_change::closed:
    log::info(host_keeper_state::name, "a host answers again", {{"host", host}});
    st.deps.env.telemetry->host_changed(true);
    break;
  case logic::host_change::paused:
    log::info(host_keeper_state::name, "a host limits how often it is asked: those whom it counts together leave it alone", {{"host", host}});
    break;
  case logic::host_change::forgotten:
  case logic::host_change::probe_failed:
  case logic::host_change::probe_lost: break;
  }
  let_in(self, host);
  show(self, host);
}

} // namespace

host_keeper_actor::behavior_type host_keeper(self_ptr self, host_keeper_deps deps) {
  install_default_handlers(self, host_keeper_state::name);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(host_keeper_state::name);
  st.table.emplace(st.deps.rules, st.deps.env.seed ^ std::hash<std::string>{}(host_keeper_state::name));
  return {
    [self](const msg::enter_host& m) -> caf::result<msg::host_pass> {
      const handling h{*self->state.cell, "enter_host", self->mailbox().size()};
      auto promise = self->make_response_promise<msg::host_pass>();
      const auto decided = self->state.table->enter(visitor(m), self->clock().now());
      answer(self, m, decided, promise);
      if (decided.what == kind::probe || decided.what == kind::hold)
        show(self, m.host);
      return promise;
    },
    [self](const msg::host_answered& m) {
      const handling h{*self->state.cell, "host_answered", self->mailbox().size()};
      changed(self, m.host,
              self->state.table->ended({m.host, m.remote, m.budget, false, false}, m.probe, m.why ? &*m.why : nullptr, m.pause, self->clock().now()));
    },
    [self](const msg::host_due& m) {
      const handling h{*self->state.cell, "host_due", self->mailbox().size()};
      const auto troubled = self->state.troubled.find(m.host);
      if (troubled == self->state.troubled.end() || troubled->second.epoch != m.epoch)
        return;
      troubled->second.armed.reset();
      changed(self, m.host, self->state.table->expire(m.host, self->clock().now()));
      show(self, m.host);
    },
  };
}

} // namespace veranda
