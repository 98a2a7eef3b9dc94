#include "actors/kube/lease_keeper.hpp"

#include "actors/kube/driving.hpp"

#include "actors/common/guard.hpp"
#include "adapters/kube/lease_requests.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = lease_keeper_actor::stateful_pointer<lease_keeper_state>;
using namespace logic;

constexpr const char* component = lease_keeper_state::name;

void act(self_ptr self);

elector::moment moment_of(lease_keeper_state& st) {
  return {st.deps.now(), st.deps.env.wall_now(), std::uniform_real_distribution<>{0, 1}(st.rng)};
}

std::string shown_time(const std::optional<wall_time>& t) { return t ? kube::format_micro_time(*t) : "never"; }

void fill_cell(lease_keeper_state& st) {
  st.cell->set_state(to_string(st.elector->role()));
  st.cell->set_in_flight(st.busy ? 1 : 0);
  st.cell->set_detail("lease", to_string(st.deps.lease));
  st.cell->set_detail("identity", st.deps.policy.identity);
  const auto* seen = st.elector->seen();
  st.cell->set_detail("holder", seen != nullptr ? seen->record.holder : std::string{});
  st.cell->set_detail("transitions", seen != nullptr ? std::to_string(seen->record.transitions) : std::string{});
  st.cell->set_detail("acquired", seen != nullptr ? shown_time(seen->record.acquired) : std::string{});
  st.cell->set_detail("renewed", seen != nullptr ? shown_time(seen->record.renewed) : std::string{});
  st.cell->set_detail("reads", std::to_string(st.reads));
  st.cell->set_detail("writes", std::to_string(st.writes));
}

/// One line when something begins to go wrong, one when it is well again.
void tell_problem(lease_keeper_state& st, const std::optional<failure>& problem) {
  const auto text = problem ? explain_lease_problem(*problem, st.deps.lease) : std::string{};
  if (std::exchange(st.said, text) == text)
    return;
  if (!problem)
    return log::info(component, "the Lease can be read and written again", {{"lease", to_string(st.deps.lease)}});
  st.cell->set_last_error(text);
  log::warn(component, "the Lease cannot be kept; trying again", {{"lease", to_string(st.deps.lease)}, {"err", text}});
}

void tell_holder(lease_keeper_state& st, const election_view& view) {
  if (view.role != elector_role::standby || view.holder.empty() || std::exchange(st.holder_said, view.holder) == view.holder)
    return;
  log::info(component, "standing by", {{"lease", to_string(st.deps.lease)}, {"leader", view.holder}, {"identity", st.deps.policy.identity}});
}

void begin_leading(lease_keeper_state& st) {
  const auto* seen = st.elector->seen();
  log::info(component, "this process leads",
            {{"lease", to_string(st.deps.lease)}, {"identity", st.deps.policy.identity}, {"transitions", seen != nullptr ? std::to_string(seen->record.transitions) : "0"}});
  if (st.deps.leads)
    st.deps.leads();
}

/// Keeps the permit in step, first of all, and tells what is new.
void settle(lease_keeper_state& st) {
  const auto role = st.elector->role();
  if (role == elector_role::leader)
    st.deps.permit->grant(st.elector->leading_until());
  else
    st.deps.permit->revoke();
  if (role == elector_role::lost && st.shown.role != elector_role::lost && st.deps.lost)
    st.deps.lost(*st.elector->problem());
  const auto* seen = st.elector->seen();
  const election_view view{role, st.elector->looked(), seen != nullptr ? seen->record.holder : std::string{}, st.elector->problem()};
  if (role != elector_role::lost)
    tell_problem(st, view.problem);
  tell_holder(st, view);
  fill_cell(st);
  if (view == st.shown)
    return;
  const bool begins = role == elector_role::leader && st.shown.role != elector_role::leader;
  st.shown = view;
  if (st.deps.changed)
    st.deps.changed(view);
  if (begins)
    begin_leading(st);
}

/// The machine has moved on: what was asked for before counts no more.
void moved(self_ptr self) {
  auto& st = self->state;
  if (std::exchange(st.busy, false))
    st.deps.client->cancel(st.call);
  ++st.turn;
  settle(st);
  act(self);
}

/// `then` gives the answer to the machine.
template <class Then>
void ask(self_ptr self, kube::api_request request, Then then) {
  auto& st = self->state;
  st.busy = true;
  st.call = st.deps.client->start(request, [self, request, turn = st.turn, alive = std::weak_ptr{st.alive}, then = std::move(then)](result<kube::api_answer> answer) {
    if (alive.expired() || self->state.turn != turn)
      return;
    self->state.busy = false;
    then(self->state, std::move(answer), request);
    moved(self);
  });
  self->send(self, msg::continue_transfers{});
}

void ask_to_write(self_ptr self, kube::api_request request) {
  ++self->state.writes;
  ask(self, std::move(request), [](lease_keeper_state& st, result<kube::api_answer> answer, const kube::api_request& r) {
    st.elector->on_written(kube::stored_lease(std::move(answer), r, st.deps.lease), moment_of(st));
  });
}

void act(self_ptr self) {
  auto& st = self->state;
  const auto& wanted = st.elector->next();
  if (const auto* read = std::get_if<lease_read>(&wanted)) {
    ++st.reads;
    ask(self, kube::read_lease_request(st.deps.lease, read->timeout), [](lease_keeper_state& s, result<kube::api_answer> answer, const kube::api_request& r) {
      s.elector->on_read(kube::lease_of(std::move(answer), r, s.deps.lease), moment_of(s));
    });
  } else if (const auto* create = std::get_if<lease_create>(&wanted)) {
    ask_to_write(self, kube::create_lease_request(st.deps.lease, *create));
  } else if (const auto* replace = std::get_if<lease_replace>(&wanted)) {
    ask_to_write(self, kube::replace_lease_request(st.deps.lease, *replace));
  } else if (const auto* wait = std::get_if<lease_wait>(&wanted)) {
    self->delayed_send(self, wait->delay, msg::wake_due{st.turn});
  } else {
    if (st.elector->role() == elector_role::stopped && st.told_to_stop)
      log::info(component, "out of the election", {{"lease", to_string(st.deps.lease)}});
    self->quit(caf::exit_reason::user_shutdown);
  }
}

/// Goes on while a request is under way, and looks at the clock meanwhile.
void drive(self_ptr self) {
  auto& st = self->state;
  if (!st.busy)
    return;
  const auto turn = st.turn;
  st.deps.client->run_for(st.deps.slice);
  if (st.turn != turn)
    return;
  if (st.elector->on_tick(moment_of(st)))
    return moved(self);
  if (st.deps.client->active() > 0)
    self->send(self, msg::continue_transfers{});
  else
    self->delayed_send(self, st.deps.slice, msg::continue_transfers{});
}

void stop(self_ptr self) {
  auto& st = self->state;
  if (std::exchange(st.told_to_stop, true))
    return;
  const auto before = st.elector->next();
  st.elector->stop(moment_of(st));
  if (before != st.elector->next())
    moved(self);
}

void prepare(lease_keeper_state& st, lease_keeper_deps deps) {
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(lease_keeper_state::name, "");
  st.rng.seed(st.deps.env.seed ^ std::hash<std::string>{}(st.deps.policy.identity));
  st.elector.emplace(st.deps.policy, moment_of(st));
}

} // namespace

lease_keeper_state::~lease_keeper_state() { drop_calls(*this); }

std::string explain_lease_problem(const failure& problem, const object_key& lease) {
  auto text = describe(problem);
  if (problem.code == ec::auth_rejected)
    text += "; grant get, create and update on " + kube::leases().name() + " in namespace " + lease.ns;
  return text;
}

lease_keeper_actor::behavior_type lease_keeper(self_ptr self, lease_keeper_deps deps) {
  install_default_handlers(self, lease_keeper_state::name);
  prepare(self->state, std::move(deps));
  self->set_exit_handler([self](caf::exit_msg& m) {
    if (m.reason == caf::exit_reason::user_shutdown)
      stop(self);
    else if (m.reason)
      self->quit(std::move(m.reason));
  });
  fill_cell(self->state);
  act(self);
  return {
    [self](const msg::continue_transfers&) {
      const handling h{*self->state.cell, "continue_transfers", self->mailbox().size()};
      drive(self);
    },
    [self](const msg::wake_due& m) {
      auto& st = self->state;
      const handling h{*st.cell, "wake_due", self->mailbox().size()};
      if (m.epoch != st.turn)
        return;
      st.elector->on_due(moment_of(st));
      moved(self);
    },
  };
}

} // namespace veranda
