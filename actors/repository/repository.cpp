#include "actors/repository/repository.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/discovery/discovery.hpp"
#include "actors/repository/sync_log.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = repository_state::name;
using self_ptr = repository_actor::stateful_pointer<repository_state>;

constexpr std::chrono::seconds listing_reuse{5};  ///< a listing this old still serves what is not urgent
constexpr std::chrono::seconds longest_wait{60};  ///< wall-clock waits are sliced

void apply_effects(self_ptr self, const logic::effects& e);
void finish(self_ptr self, logic::sync_outcome outcome);
void close_if_idle(self_ptr self);

wall_time wall_now(const repository_state& st) { return st.deps.env.wall_now(); }

const repository_spec& spec_of(const repository_state& st) { return st.applied.object->spec; }
std::shared_ptr<const repository_spec> shared_spec(const repository_object_ptr& object) { return {object, &object->spec}; }

void stop_as_stale(self_ptr self, const failure& why) {
  log::warn(kind, "the rows of this repository belong to a newer owner; stopping", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
  self->quit(to_error(why));
}

// -- effects -------------------------------------------------------------------------------------

void publish(self_ptr self) {
  auto& st = self->state;
  const auto status = st.machine->status(wall_now(st));
  const auto sync_id = st.running ? st.running->order.sync_id : std::string{};
  self->send(st.deps.status, msg::publish_status{st.key, st.uid, status, sync_id});
  if (!status.conditions.empty()) {
    const auto& ready = status.conditions.front();
    if (std::exchange(st.last_reason, ready.reason) != ready.reason)
      st.deps.env.telemetry->condition_transition(ready.reason);
    st.cell->set_state(ready.reason);
    st.deps.env.telemetry->repository_ready(st.key, ready.status == "True");
  }
}

void persist(self_ptr self) {
  auto& st = self->state;
  if (!st.claim || st.closing)
    return;
  self->request(st.deps.cache, st.deps.store_timeout, msg::put_state{*st.claim, st.machine->durable()})
    .then([](bool) {},
          [self](caf::error& e) {
            const auto why = to_failure(e);
            if (why.code == ec::stale)
              stop_as_stale(self, why);
            else // the next change writes it again; a crash before that may repeat a sync, never skip one
              log::warn(kind, "durable state could not be written", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
          });
}

void arm(self_ptr self) {
  auto& st = self->state;
  const auto due = st.machine->next_due();
  if (!due) {
    st.cell->disarm_timer("next");
    return;
  }
  st.cell->arm_timer("next", *due);
  st.deps.env.telemetry->repository_next_sync(st.key, st.machine->planned().at);
  const auto now = wall_now(st);
  const auto wait = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*due - now) + std::chrono::milliseconds{1},
                               std::chrono::milliseconds{1}, std::chrono::milliseconds{longest_wait});
  self->delayed_send(self, wait, msg::wake_due{++st.wake_epoch});
}

// -- a sync --------------------------------------------------------------------------------------

logic::sync_outcome failed(const repository_state& st, failure why) {
  logic::sync_outcome outcome;
  outcome.sync_id = st.running->order.sync_id;
  outcome.error = std::move(why);
  return outcome;
}

logic::sync_outcome unchanged(const repository_state& st) {
  logic::sync_outcome outcome;
  outcome.sync_id = st.running->order.sync_id;
  outcome.unchanged = true;
  outcome.basis = st.machine->durable().basis;
  return outcome;
}

/// True when this continuation belongs to a sync that is no longer the running one.
bool superseded(const repository_state& st, const std::string& sync_id) { return !st.running || st.running->order.sync_id != sync_id; }

void apply_result(self_ptr self, const msg::sync_result_ptr& synced) {
  auto& st = self->state;
  auto& run = *st.running;
  logic::sync_outcome outcome;
  outcome.sync_id = run.order.sync_id;
  outcome.basis = synced->delta.basis;
  outcome.stats = synced->delta.stats;
  outcome.bad = synced->delta.bad;
  outcome.note = synced->note;
  st.cell->set_detail("phase", "applying");
  msg::apply_delta apply{*st.claim, {synced, &synced->delta}, st.machine->durable_after(outcome, wall_now(st))};
  self->request(st.deps.cache, st.deps.store_timeout, std::move(apply))
    .then(
      [self, synced, outcome](const store::apply_result& applied) mutable {
        auto& state = self->state;
        if (superseded(state, outcome.sync_id))
          return;
        log_sync_result(state, *synced);
        state.deps.env.telemetry->delta_applied(synced->delta);
        state.deps.env.telemetry->feed_position(applied.position);
        outcome.bad.insert(outcome.bad.end(), applied.rejected.begin(), applied.rejected.end());
        state.known_digest = state.running->listing_digest;
        state.known_spec = *state.running->spec;
        finish(self, std::move(outcome));
      },
      [self, id = outcome.sync_id](caf::error& e) {
        if (superseded(self->state, id))
          return;
        const auto why = to_failure(e);
        finish(self, failed(self->state, why));
        if (why.code == ec::stale)
          stop_as_stale(self, why);
      });
}

void run_on_mirror(self_ptr self, ref_table_ptr refs) {
  auto& st = self->state;
  auto& run = *st.running;
  st.cell->set_detail("phase", "syncing");
  msg::run_sync order{run.order.sync_id, st.key,    st.uid, run.spec, std::move(refs), run.basis,
                      run.order.cause == sync_cause::user, run.order.full, run.cancel};
  self->request(st.applied.remote, st.deps.sync_deadline + std::chrono::seconds{30}, std::move(order))
    .then(
      [self, id = run.order.sync_id](const msg::sync_result_ptr& synced) {
        if (!superseded(self->state, id))
          apply_result(self, synced);
      },
      [self, id = run.order.sync_id, cancel = run.cancel](caf::error& e) {
        cancel->stop = true;
        if (!superseded(self->state, id))
          finish(self, failed(self->state, to_failure(e)));
      });
}

failure missing_branch(const git_spec& git, const ref_table& refs) {
  failure f{ec::not_found, "branch \"" + git.branch + "\" not found in repository", {}, "spec.git.branch", {}};
  if (refs.refs.empty())
    f.what += "; the remote has no matching refs at all (is it empty?)";
  return f;
}

void on_listing(self_ptr self, const git::listing& listed) {
  auto& st = self->state;
  auto& run = *st.running;
  if (run.cancel->expired()) {
    finish(self, failed(st, {run.cancel->reason(), "the sync was stopped", {}, {}, {}}));
    return;
  }
  if (!listed.refs) { // equal to the digest that agreed with the basis
    finish(self, unchanged(st));
    return;
  }
  const auto& git = *run.spec->git;
  if (!listed.refs->find("refs/heads/" + git.branch)) {
    finish(self, failed(st, missing_branch(git, *listed.refs)));
    return;
  }
  run.listing_digest = listed.digest;
  run.basis = logic::basis_of(*listed.refs, st.key, *run.spec);
  if (!run.order.full && run.basis.digest == st.machine->durable().basis.digest) {
    st.known_digest = listed.digest;
    st.known_spec = *run.spec;
    finish(self, unchanged(st));
    return;
  }
  logic::effects said;
  if (!st.machine->on_listed_changed(wall_now(st), said)) {
    finish(self, unchanged(st));
    return;
  }
  run.changes = true;
  if (said.publish)
    publish(self);
  run_on_mirror(self, listed.refs);
}

void begin_sync(self_ptr self, const logic::sync_order& order) {
  auto& st = self->state;
  repository_state::running_sync run;
  run.order = order;
  run.spec = shared_spec(st.applied.object);
  run.cancel = std::make_shared<cancel_token>();
  run.cancel->deadline = std::chrono::steady_clock::now() + st.deps.sync_deadline;
  run.began = self->clock().now();
  run.started = wall_now(st);
  st.running = std::move(run);
  st.cell->set_detail("sync_id", order.sync_id);
  st.cell->set_detail("phase", "listing");
  log_sync_started(st);
  st.deps.env.telemetry->sync_started(st.key, order.cause);
  st.deps.env.telemetry->lateness(st.key, st.running->started - order.due);
  if (!st.applied.remote) {
    finish(self, failed(st, {ec::invalid_spec, st.applied.remote_problem, {}, "spec.git.repo", {}}));
    return;
  }
  const bool same_spec = st.known_spec && *st.known_spec == spec_of(st);
  msg::get_listing wanted{st.uid, order.full || !same_spec ? std::string{} : st.known_digest,
                          order.fresh ? self->clock().now() : self->clock().now() - listing_reuse, st.running->cancel};
  self->request(st.applied.remote, st.deps.listing_timeout, std::move(wanted))
    .then(
      [self, id = order.sync_id](const msg::listing_ptr& listed) {
        if (!superseded(self->state, id))
          on_listing(self, *listed);
      },
      [self, id = order.sync_id](caf::error& e) {
        if (!superseded(self->state, id))
          finish(self, failed(self->state, to_failure(e)));
      });
}

// -- the end of a sync ---------------------------------------------------------------------------

void answer_callers(self_ptr self, const logic::sync_outcome& outcome) {
  auto& st = self->state;
  std::vector<repository_state::waiting_caller> later;
  for (auto& caller : st.callers) {
    if (caller.served_by_next) {
      caller.served_by_next = false;
      later.push_back(std::move(caller));
    } else {
      caller.promise.deliver(msg::sync_done{!outcome.error, outcome.unchanged, outcome.error ? describe(*outcome.error) : "", outcome.stats});
    }
  }
  st.callers = std::move(later);
}

/// Callers whose sync will not come (suspended, invalid) are told so.
void refuse_callers_without_sync(self_ptr self) {
  auto& st = self->state;
  if (st.running || st.machine->syncing())
    return;
  for (auto& caller : st.callers)
    caller.promise.deliver(msg::sync_done{false, false, "no sync was started: " + st.machine->planned().cause, {}});
  st.callers.clear();
}

void report_first(self_ptr self, bool ok) {
  auto& st = self->state;
  if (st.first_reported)
    return;
  st.first_reported = true;
  self->send(st.deps.supervisor, msg::first_sync_finished{st.key, ok});
}

void finish(self_ptr self, logic::sync_outcome outcome) {
  auto& st = self->state;
  const auto took = self->clock().now() - st.running->began;
  log_sync_finished(st, outcome, std::chrono::duration_cast<std::chrono::milliseconds>(took));
  st.deps.env.telemetry->sync_finished(st.key, st.running->order.cause, outcome.error ? &*outcome.error : nullptr, outcome.unchanged, took,
                                     wall_now(st));
  st.cell->set_detail("phase", "");
  st.cell->set_last_error(outcome.error ? describe(*outcome.error) : "");
  st.running.reset();
  const auto effects = st.machine->on_finished(outcome, wall_now(st));
  st.deps.env.telemetry->repository_counts(st.key, st.machine->durable());
  answer_callers(self, outcome);
  if (st.closing) {
    close_if_idle(self);
    return;
  }
  const bool stopped = outcome.error && class_of(outcome.error->code) == error_class::stop;
  apply_effects(self, effects);
  if (!stopped)
    report_first(self, !outcome.error);
}

void apply_effects(self_ptr self, const logic::effects& e) {
  auto& st = self->state;
  for (const auto& line : e.log)
    log_line(st, line);
  if (e.cancel_running && st.running)
    st.running->cancel->stop = true;
  if (e.persist)
    persist(self);
  if (e.publish)
    publish(self);
  if (e.start && !st.running)
    begin_sync(self, *e.start);
  arm(self);
}

// -- life ----------------------------------------------------------------------------------------

void close_if_idle(self_ptr self) {
  auto& st = self->state;
  if (st.running || st.claiming)
    return;
  if (!st.claim) {
    self->send(self, msg::claim_due{++st.claim_epoch});
    return;
  }
  self->request(st.deps.cache, st.deps.store_timeout, msg::close_rows{*st.claim})
    .then(
      [self](bool) {
        log::info(kind, "repository closed, its rows are removed", {{"key", to_string(self->state.key)}});
        self->send(self->state.deps.supervisor, msg::repository_closed{self->state.key});
        self->quit();
      },
      [self](caf::error& e) {
        auto& state = self->state;
        const auto why = to_failure(e);
        log::warn(kind, "rows could not be removed; trying again", {{"key", to_string(state.key)}, {"err", describe(why)}});
        if (why.code == ec::stale)
          state.claim.reset();
        self->delayed_send(self, state.deps.claim_retry, msg::claim_due{++state.claim_epoch});
      });
}

void first_object(self_ptr self) {
  auto& st = self->state;
  st.machine->restore_status(st.applied.object->status);
  apply_effects(self, st.machine->on_object(*st.applied.object, wall_now(st)));
  if (!st.machine->syncing()) // suspended, invalid: nothing to wait for
    report_first(self, st.applied.object->problems.empty());
}

void claim(self_ptr self) {
  auto& st = self->state;
  st.claiming = true;
  st.cell->set_detail("phase", "claiming");
  msg::claim_repository wanted{st.key, st.uid, st.deps.epoch, shared_spec(st.applied.object)};
  self->request(st.deps.cache, st.deps.store_timeout, std::move(wanted))
    .then(
      [self](const store::repository_claim& claimed) {
        auto& state = self->state;
        state.claiming = false;
        const bool first = !state.claim;
        state.claim = claimed;
        state.machine->set_fence(claimed.fence);
        state.cell->set_detail("phase", "");
        if (state.closing)
          close_if_idle(self);
        else if (first)
          first_object(self);
      },
      [self](caf::error& e) {
        auto& state = self->state;
        state.claiming = false;
        const auto why = to_failure(e);
        state.cell->set_last_error(describe(why));
        log::warn(kind, "the repository's rows could not be claimed; trying again", {{"key", to_string(state.key)}, {"err", describe(why)}});
        self->delayed_send(self, state.deps.claim_retry, msg::claim_due{++state.claim_epoch});
      });
}

void open_with_new_spec(self_ptr self) {
  auto& st = self->state;
  self->request(st.deps.cache, st.deps.store_timeout,
                msg::open_repository{*st.claim, shared_spec(st.applied.object)})
    .then([](bool) {},
          [self](caf::error& e) {
            const auto why = to_failure(e);
            if (why.code == ec::stale)
              stop_as_stale(self, why);
            else
              log::warn(kind, "the changed spec could not be stored", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
          });
}

void on_apply_object(self_ptr self, const apply_object& m) {
  auto& st = self->state;
  const bool spec_changed = !(m.object->spec == spec_of(st));
  st.applied = m;
  if (!st.claim || st.closing)
    return; // the claim's continuation gives the machine its first object
  if (spec_changed)
    open_with_new_spec(self);
  apply_effects(self, st.machine->on_object(*m.object, wall_now(st)));
}

caf::result<msg::sync_done> on_sync_now(self_ptr self, const msg::sync_now& m) {
  auto& st = self->state;
  auto promise = self->make_response_promise<msg::sync_done>();
  st.callers.push_back({st.running.has_value(), promise});
  if (!st.claim)
    return promise; // the first sync serves
  apply_effects(self, st.machine->on_trigger(m.cause, m.full, wall_now(st)));
  refuse_callers_without_sync(self);
  return promise;
}

void on_wake(self_ptr self) {
  auto& st = self->state;
  apply_effects(self, st.machine->on_time(wall_now(st)));
}

} // namespace

repository_actor::behavior_type repository(self_ptr self, repository_deps deps, apply_object first, std::optional<durable_state> restored) {
  install_default_handlers(self, kind);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.key = first.object->meta.key;
  st.uid = first.object->meta.uid;
  st.applied = std::move(first);
  st.cell = st.deps.env.cells->add(kind, to_string(st.key));
  st.machine.emplace(st.deps.machine, st.deps.env.seed ^ std::hash<std::string>{}(st.applied.remote_name), std::move(restored));
  self->set_exit_handler([self](caf::exit_msg& m) {
    if (self->state.running)
      self->state.running->cancel->stop = true;
    self->quit(m.reason);
  });
  claim(self);
  return {
    [self](const apply_object& m) {
      const handling h{*self->state.cell, "apply_object", self->mailbox().size()};
      on_apply_object(self, m);
    },
    [self](const msg::conflicts_changed& m) {
      const handling h{*self->state.cell, "conflicts_changed", self->mailbox().size()};
      apply_effects(self, self->state.machine->set_conflicts(m.others, wall_now(self->state)));
    },
    [self](const msg::sync_now& m) {
      const handling h{*self->state.cell, "sync_now", self->mailbox().size()};
      return on_sync_now(self, m);
    },
    [self](const msg::get_key&) { return self->state.key; },
    [self](const msg::get_spec&) { return self->state.applied.object; },
    [self](const msg::get_state&) {
      auto& state = self->state;
      const handling h{*state.cell, "get_state", self->mailbox().size()};
      return msg::repository_state_view{state.machine->status(wall_now(state)), state.machine->durable(), state.running ? "syncing" : "idle"};
    },
    [self](const msg::close_repository&) {
      auto& state = self->state;
      const handling h{*state.cell, "close_repository", self->mailbox().size()};
      state.closing = true;
      if (state.running)
        state.running->cancel->stop = true;
      close_if_idle(self);
    },
    [self](const msg::wake_due& m) {
      if (m.epoch != self->state.wake_epoch || self->state.closing)
        return;
      const handling h{*self->state.cell, "wake_due", self->mailbox().size()};
      on_wake(self);
    },
    [self](const msg::claim_due& m) {
      auto& state = self->state;
      if (m.epoch != state.claim_epoch)
        return;
      const handling h{*state.cell, "claim_due", self->mailbox().size()};
      if (state.claim)
        close_if_idle(self);
      else
        claim(self);
    },
  };
}

} // namespace veranda
