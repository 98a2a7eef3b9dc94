#include "actors/repository/repository.hpp"

#include "actors/common/guard.hpp"
#include "actors/logic/condition_builder.hpp"
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
constexpr std::chrono::minutes queue_patience{24 * 60}; ///< a sync's deadline begins with its work: until then it waits its turn

void apply_effects(self_ptr self, const logic::effects& e);
void finish(self_ptr self, logic::sync_outcome outcome);
void close_if_idle(self_ptr self);
void refuse_callers(repository_state& st, const std::string& why);

wall_time wall_now(const repository_state& st) { return st.deps.env.wall_now(); }

const repository_spec& spec_of(const repository_state& st) { return st.applied.object->spec; }
std::shared_ptr<const repository_spec> shared_spec(const repository_object_ptr& object) { return {object, &object->spec}; }

void stop_as_stale(self_ptr self, const failure& why) {
  log::warn(kind, "the rows of this repository belong to a newer owner; stopping", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
  refuse_callers(self->state, why.what);
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
  if (st.running && st.running->applying) { // it would overtake what the transaction under way makes true
    st.running->persist_later = true;
    return;
  }
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
  st.deps.env.telemetry->repository_next_sync(st.key, st.machine->planned().at);
  if (!due) {
    st.cell->disarm_timer("next");
    return;
  }
  st.cell->arm_timer("next", *due);
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
  run.applying = true;
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
        outcome.stats.revisions = applied.revisions;
        outcome.stats.packages = applied.packages;
        const bool owed = state.running->persist_later || !applied.rejected.empty(); // what the transaction could not know
        state.basis_holds = true;
        state.known_digest = state.running->listing_digest;
        state.known_spec = *state.running->spec;
        finish(self, std::move(outcome));
        if (owed)
          persist(self);
      },
      [self, id = outcome.sync_id](caf::error& e) {
        if (superseded(self->state, id))
          return;
        const auto why = to_failure(e);
        if (why.code == ec::stale)
          stop_as_stale(self, why);
        else
          finish(self, failed(self->state, why));
      });
}

void run_on_mirror(self_ptr self, ref_table_ptr refs) {
  auto& st = self->state;
  auto& run = *st.running;
  st.cell->set_detail("phase", "syncing");
  msg::run_sync order{run.order.sync_id, st.key,    st.uid, run.spec, std::move(refs), run.basis,
                      run.order.cause == sync_cause::user, run.order.full, run.cancel};
  self->request(st.applied.remote, queue_patience, std::move(order))
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
  if (!run.order.full && st.basis_holds && run.basis.digest == st.machine->durable().basis.digest) {
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

/// Whoever asked before this sync began is answered by it, unless it was stopped for one that follows.
void answer_callers(self_ptr self, const logic::sync_outcome& outcome) {
  auto& st = self->state;
  if (outcome.error && class_of(outcome.error->code) == error_class::stop && !st.closing) {
    for (auto& caller : st.callers)
      caller.served_by_next = false;
    return;
  }
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

void refuse_callers(repository_state& st, const std::string& why) {
  for (auto& caller : std::exchange(st.callers, {}))
    caller.promise.deliver(msg::sync_done{false, false, "no sync was started: " + why, {}});
}

/// Callers whose sync will not come (suspended, invalid) are told so.
void refuse_callers_without_sync(self_ptr self) {
  auto& st = self->state;
  if (!st.running && !st.machine->next_due())
    refuse_callers(st, st.machine->planned().cause);
}

/// The first end of a sync, and the first good one: it ends a series of restarts.
void report_first(self_ptr self, bool ok) {
  auto& st = self->state;
  if (st.first_good || (st.first_reported && !ok))
    return;
  st.first_reported = true;
  st.first_good = ok;
  self->send(st.deps.supervisor, msg::first_sync_finished{st.key, ok});
}

/// An object that may not be synced has had its first sync: nothing is to be waited for.
void report_when_blocked(self_ptr self) {
  auto& st = self->state;
  if (!st.running && !st.machine->next_due())
    report_first(self, !logic::spec_failure(*st.applied.object));
}

/// A sync that is redone at once, was stopped or waits for a place in the queue is no first sync yet.
void report_end(self_ptr self, const std::optional<failure>& error) {
  if (!error)
    report_first(self, true);
  else if (!self->state.running && class_of(error->code) != error_class::stop && error->code != ec::overloaded)
    report_first(self, false);
  else
    report_when_blocked(self);
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
  apply_effects(self, effects);
  refuse_callers_without_sync(self);
  report_end(self, outcome.error);
}

/// Ends the running sync at once, without waiting for whoever works on it: a late answer finds itself superseded. Only a transaction that is under way is waited for.
void cancel_running(self_ptr self, const char* why) {
  auto& run = *self->state.running;
  run.cancel->stop = true;
  if (!run.applying)
    finish(self, failed(self->state, {ec::cancelled, why, {}, {}, {}}));
}

void apply_effects(self_ptr self, const logic::effects& e) {
  auto& st = self->state;
  for (const auto& line : e.log)
    log_line(st, line);
  if (e.persist)
    persist(self);
  if (e.publish)
    publish(self);
  if (e.start && !st.running)
    begin_sync(self, *e.start);
  else if (e.cancel_running && st.running)
    cancel_running(self, "the sync was stopped");
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
  st.deps.env.telemetry->repository_counts(st.key, st.machine->durable());
  apply_effects(self, st.machine->on_object(*st.applied.object, wall_now(st)));
  refuse_callers_without_sync(self);
  report_when_blocked(self);
}

/// Readers see the spec's fields through the cache. What could not be stored is stored with the next word from the supervisor.
void open_with_spec(self_ptr self) {
  auto& st = self->state;
  const auto object = st.applied.object;
  if (st.opened && *st.opened == object->spec)
    return;
  self->request(st.deps.cache, st.deps.store_timeout, msg::open_repository{*st.claim, shared_spec(object)})
    .then([self, object](bool) { self->state.opened = object->spec; },
          [self](caf::error& e) {
            const auto why = to_failure(e);
            if (why.code == ec::stale)
              stop_as_stale(self, why);
            else
              log::warn(kind, "the changed spec could not be stored", {{"key", to_string(self->state.key)}, {"err", describe(why)}});
          });
}

void claim(self_ptr self) {
  auto& st = self->state;
  st.claiming = true;
  st.cell->set_detail("phase", "claiming");
  const auto object = st.applied.object;
  self->request(st.deps.cache, st.deps.store_timeout, msg::claim_repository{st.key, st.uid, st.deps.epoch, shared_spec(object)})
    .then(
      [self, object](const store::repository_claim& claimed) {
        auto& state = self->state;
        state.claiming = false;
        state.claim = claimed;
        state.opened = object->spec;
        state.machine->set_fence(claimed.fence);
        state.basis_holds = claimed.basis_digest == state.machine->durable().basis.digest; // not when the cache was replaced meanwhile
        state.cell->set_detail("phase", "");
        if (state.closing) {
          close_if_idle(self);
          return;
        }
        open_with_spec(self); // it may have changed meanwhile
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

void on_apply_object(self_ptr self, const apply_object& m) {
  auto& st = self->state;
  const bool remote_restarted = st.applied.remote && m.remote && m.remote_name == st.applied.remote_name && m.remote != st.applied.remote;
  st.applied = m;
  if (!st.claim || st.closing)
    return; // the claim's continuation gives the machine its first object
  open_with_spec(self);
  if (remote_restarted && st.running) // what was asked of the one that ended is never answered
    cancel_running(self, "the remote's actor was started again");
  apply_effects(self, st.machine->on_object(*m.object, wall_now(st)));
  refuse_callers_without_sync(self);
  report_when_blocked(self);
}

caf::result<msg::sync_done> on_sync_now(self_ptr self, const msg::sync_now& m) {
  auto& st = self->state;
  auto promise = self->make_response_promise<msg::sync_done>();
  st.callers.push_back({st.running.has_value(), promise});
  if (st.closing)
    refuse_callers(st, "the repository is being removed");
  if (!st.claim || st.closing)
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

repository_state::~repository_state() {
  if (running)
    running->cancel->stop = true;
}

repository_actor::behavior_type repository(self_ptr self, repository_deps deps, apply_object first, std::optional<durable_state> restored) {
  install_default_handlers(self, kind);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.key = first.object->meta.key;
  st.uid = first.object->meta.uid;
  st.applied = std::move(first);
  st.cell = st.deps.env.cells->add(kind, to_string(st.key));
  st.machine.emplace(st.deps.machine, st.deps.env.seed ^ std::hash<std::string>{}(st.applied.remote_name), std::move(restored));
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
      refuse_callers(state, "the repository is being removed");
      if (state.running)
        cancel_running(self, "the repository is being removed"); // and then closes
      else
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
