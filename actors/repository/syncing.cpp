#include "actors/repository/repository_parts.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "actors/logic/discovery/discovery.hpp"
#include "actors/repository/sync_log.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda::repository_parts {

namespace {

constexpr std::chrono::seconds listing_reuse{5};        ///< a listing this old still serves what is not urgent
constexpr std::chrono::minutes listing_patience{180};      ///< beyond the remote's own, twice: it may wait for the end of one that began too early
constexpr std::chrono::minutes apply_patience{60};      ///< what was sent is carried out, sooner or later: nothing may be written that overtakes it
constexpr std::chrono::minutes queue_patience{24 * 60};       ///< a sync's deadline begins with its work: until then it waits its turn

void finish(self_ptr self, logic::sync_outcome outcome);

/// How long the present phase has lasted; another one begins.
std::chrono::milliseconds next_phase(self_ptr self) {
  const auto now = self->clock().now();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - std::exchange(self->state.running->phase_began, now));
}

/// The worker told how long it worked: it waited for the rest.
void count_work(self_ptr self, const msg::sync_result& synced) {
  using std::chrono::milliseconds;
  auto& phases = self->state.running->phases;
  const auto whole = next_phase(self);
  phases.fetch = std::chrono::duration_cast<milliseconds>(synced.fetch_time);
  phases.discovery = std::chrono::duration_cast<milliseconds>(synced.discover_time);
  phases.apply = std::chrono::duration_cast<milliseconds>(synced.store_time);
  phases.waiting = std::max(whole - phases.fetch - phases.discovery - phases.apply, milliseconds{0});
}

logic::sync_outcome failed(const repository_state& st, failure why) {
  logic::sync_outcome outcome;
  outcome.sync_id = st.running->order.sync_id;
  outcome.error = std::move(why);
  outcome.phases = st.running->phases;
  return outcome;
}

logic::sync_outcome unchanged(const repository_state& st) {
  logic::sync_outcome outcome;
  outcome.sync_id = st.running->order.sync_id;
  outcome.unchanged = true;
  outcome.phases = st.running->phases;
  outcome.basis = st.machine->durable().basis;
  return outcome;
}

/// The rows are what git has, as was found in this process.
void say_in_step(self_ptr self) {
  auto& st = self->state;
  if (st.deps.package_revs && !st.closing && !std::exchange(st.said_in_step, true))
    self->send(st.deps.package_revs, msg::repository_in_step{st.key, st.uid});
}

/// True when this continuation belongs to a sync that is no longer the running one.
bool superseded(const repository_state& st, const std::string& sync_id) { return !st.running || st.running->order.sync_id != sync_id; }

void apply_result(self_ptr self, const msg::sync_result_ptr& synced) {
  auto& st = self->state;
  auto& run = *st.running;
  count_work(self, *synced);
  logic::sync_outcome outcome;
  outcome.phases = run.phases;
  outcome.sync_id = run.order.sync_id;
  outcome.basis = synced->delta.basis;
  outcome.bad = synced->delta.bad;
  outcome.note = synced->note;
  outcome.hold = st.machine->judge(synced->delta, synced->note, wall_now(st));
  std::shared_ptr<const package_delta> delta{synced, &synced->delta};
  if (outcome.hold)
    delta = std::make_shared<const package_delta>(logic::without_held(synced->delta, *outcome.hold));
  outcome.stats = delta->stats;
  run.applying = true;
  st.cell->set_detail("phase", "applying");
  msg::apply_delta apply{*st.claim, delta, st.machine->durable_after(outcome, wall_now(st))};
  ask(self, st.deps.cache, apply_patience, std::move(apply))
    .then(
      [self, synced, delta, outcome](const store::apply_result& applied) mutable {
        auto& state = self->state;
        if (superseded(state, outcome.sync_id))
          return;
        log_sync_result(state, *synced);
        log_held(state, outcome);
        state.deps.env.telemetry->delta_applied(*delta);
        state.deps.env.telemetry->feed_position(applied.position);
        outcome.phases.apply += next_phase(self);
        outcome.bad.insert(outcome.bad.end(), applied.rejected.begin(), applied.rejected.end());
        outcome.stats.revisions = applied.revisions;
        outcome.stats.packages = applied.packages;
        state.running->persist_later |= !applied.rejected.empty(); // what the transaction could not know
        state.basis_holds = true;
        state.known_digest = state.running->listing_digest;
        state.known_spec = *state.running->spec;
        say_in_step(self);
        finish(self, std::move(outcome));
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
  ask(self, st.applied.remote, queue_patience, std::move(order))
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
  if (git.create_branch)
    f.what += "; createBranch has no effect without --allow-create-branch: make the branch by hand, or start the daemon so";
  return f;
}

void on_listing(self_ptr self, const git::listing& listed) {
  auto& st = self->state;
  auto& run = *st.running;
  run.listed = true;
  run.phases.listing = next_phase(self);
  if (!listed.refs) { // equal to the digest that agreed with the basis
    finish(self, unchanged(st));
    return;
  }
  const auto& git = *run.spec->git;
  const bool may_be_made = git.create_branch && st.deps.allow_create_branch; // the job does it, and has it listed again
  if (!may_be_made && !listed.refs->find("refs/heads/" + git.branch)) {
    finish(self, failed(st, missing_branch(git, *listed.refs)));
    return;
  }
  run.listing_digest = listed.digest;
  run.basis = logic::basis_of(*listed.refs, st.key, *run.spec);
  if (!run.order.full && !run.order.recheck && st.basis_holds && run.basis.digest == st.machine->durable().basis.digest) {
    st.known_digest = listed.digest;
    st.known_spec = *run.spec;
    say_in_step(self);
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

void finish(self_ptr self, logic::sync_outcome outcome) {
  auto& st = self->state;
  if (st.ending && outcome.error) { // nothing is said of it: the daemon's next life tries again
    self->quit(caf::exit_reason::user_shutdown);
    return;
  }
  const auto took = self->clock().now() - st.running->began;
  log_sync_finished(st, outcome, std::chrono::duration_cast<std::chrono::milliseconds>(took));
  st.deps.env.telemetry->sync_finished(st.key, st.running->order.cause, outcome.error ? &*outcome.error : nullptr, outcome.unchanged, took,
                                     wall_now(st));
  st.cell->set_detail("phase", "");
  st.cell->set_detail("waits", outcome.error && outcome.error->code == ec::overloaded ? outcome.error->what : "");
  st.cell->set_last_error(outcome.error ? describe(*outcome.error) : "");
  if (outcome.error && outcome.error->code == ec::corrupt_cache && !st.running->applying) // seen by a reader: the writer does not know
    self->send(st.deps.cache, msg::check_cache{});
  const bool owed = st.running->persist_later;
  st.running.reset();
  auto effects = st.machine->on_finished(outcome, wall_now(st));
  effects.persist |= owed;
  st.deps.env.telemetry->repository_counts(st.key, st.machine->durable());
  answer_callers(self, outcome);
  if (st.closing) {
    close_if_idle(self);
    return;
  }
  apply_effects(self, effects);
  refuse_callers_without_sync(self);
  report_end(self, outcome.error);
  if (st.ending)
    self->quit(caf::exit_reason::user_shutdown);
}

} // namespace

void begin_sync(self_ptr self, const logic::sync_order& order) {
  auto& st = self->state;
  repository_state::running_sync run;
  run.order = order;
  run.spec = shared_spec(st.applied.object);
  run.cancel = std::make_shared<cancel_token>();
  run.began = self->clock().now();
  run.phase_began = run.began;
  run.started = wall_now(st);
  st.running = std::move(run);
  st.cell->set_detail("sync_id", order.sync_id);
  st.cell->set_detail("phase", "listing");
  st.cell->set_detail("waits", "");
  log_sync_started(st);
  st.deps.env.telemetry->sync_started(st.key, order.cause);
  st.deps.env.telemetry->lateness(st.key, st.running->started - order.due);
  if (!st.applied.remote) {
    finish(self, failed(st, st.applied.remote_problem.value_or(failure{ec::invalid_spec, "the object names no remote", {}, "spec.git.repo", {}})));
    return;
  }
  const bool same_spec = st.known_spec && *st.known_spec == spec_of(st);
  msg::get_listing wanted{st.uid, order.full || order.recheck || !same_spec ? std::string{} : st.known_digest,
                          order.fresh ? self->clock().now() : self->clock().now() - listing_reuse, order.cause == sync_cause::user};
  ask(self, st.applied.remote, listing_patience, std::move(wanted))
    .then(
      [self, id = order.sync_id](const msg::listing_ptr& listed) {
        if (!superseded(self->state, id))
          on_listing(self, *listed);
      },
      [self, id = order.sync_id](caf::error& e) {
        if (superseded(self->state, id))
          return;
        self->state.running->phases.listing = next_phase(self);
        finish(self, failed(self->state, to_failure(e)));
      });
}

/// Ends the running sync at once, without waiting for whoever works on it: a late answer finds itself superseded. Only a transaction that is under way is waited for.
void cancel_running(self_ptr self, const char* why) {
  auto& run = *self->state.running;
  run.cancel->stop = true;
  if (!run.applying)
    finish(self, failed(self->state, {ec::cancelled, why, {}, {}, {}}));
}

} // namespace veranda::repository_parts
