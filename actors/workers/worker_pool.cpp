#include "actors/workers/worker_pool.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/endpoint.hpp"
#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = worker_pool_actor::stateful_pointer<worker_pool_state>;

void pump(self_ptr self);

void show(worker_pool_state& st) {
  const auto waiting = st.queue->waiting();
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.busy.size()));
  st.cell->set_detail("waiting", std::to_string(waiting));
  st.cell->set_detail("replaced", std::to_string(st.replaced));
  if (st.deps.kind == worker_pool_state::name)
    st.deps.env.telemetry->queue(waiting, st.busy.size());
}

worker_pool_state::busy_worker new_worker(self_ptr self) {
  auto& st = self->state;
  const auto index = st.next_index++;
  return {st.deps.spawn_worker(self, index), index};
}

failure stopped_early(const msg::job& job) { return {job.cancel->reason(), "stopped while it waited for a worker", {}, {}, {}}; }
failure comes_too_late(const msg::job& job) { return {ec::cancelled, "the daemon is ending", job.remote.url, {}, {}}; }

/// Makes workers until there is one for each slot, and ends idle ones that are too many; busy ones end after their job.
void fit_workers(self_ptr self) {
  auto& st = self->state;
  while (st.idle.size() + st.busy.size() < st.deps.limits.slots)
    st.idle.push_back(new_worker(self));
  while (!st.idle.empty() && st.idle.size() + st.busy.size() > st.deps.limits.slots) {
    exit_now(st.idle.back().handle, caf::exit_reason::user_shutdown);
    st.idle.pop_back();
  }
}

/// Takes the job off the books and gives its worker back, or another one when this one cannot be trusted to be free.
std::optional<worker_pool_state::pending> job_ended(self_ptr self, std::uint64_t id, bool worker_is_free, std::optional<bool> answered = std::nullopt) {
  auto& st = self->state;
  auto job = st.jobs.extract(id);
  if (!job)
    return std::nullopt;
  st.queue->done(id, answered);
  if (auto worker = st.busy.extract(id)) {
    if (worker_is_free) {
      st.idle.push_back(std::move(worker.mapped()));
    } else {
      ++st.replaced;
      exit_now(worker.mapped().handle, caf::exit_reason::user_shutdown);
    }
  }
  fit_workers(self);
  if (st.ending && st.busy.empty())
    self->quit(caf::exit_reason::user_shutdown);
  return std::move(job.mapped());
}

void on_result(self_ptr self, std::uint64_t id, const msg::job_result& r) {
  if (auto job = job_ended(self, id, true, true))
    job->promise.deliver(r);
  pump(self);
}

/// Past its deadline and grace: the worker hangs in a call that does not look at its token.
void on_overdue(self_ptr self, std::uint64_t id) {
  if (auto job = job_ended(self, id, false, false)) {
    job->job.cancel->stop = true;
    log::error(self->state.deps.kind, "a worker did not come back from its job and was replaced", {{"remote", job->job.remote.url}});
    job->promise.deliver(to_error({ec::timed_out, "the job did not end after its deadline", job->job.remote.url, {}, {}}));
  }
  pump(self);
}

void on_error(self_ptr self, std::uint64_t id, caf::error& e) {
  if (e == caf::sec::request_timeout) {
    on_overdue(self, id);
    return;
  }
  const auto why = to_failure(e);
  const bool lost = e == caf::sec::request_receiver_down || why.code == ec::internal; // an exception ended the worker
  const bool silent = why.code == ec::unreachable || why.code == ec::timed_out;
  if (auto job = job_ended(self, id, !lost, silent ? std::optional{false} : std::nullopt))
    job->promise.deliver(std::move(e));
  pump(self);
}

void start(self_ptr self, std::uint64_t id) {
  auto& st = self->state;
  auto& job = st.jobs.at(id);
  st.deps.env.telemetry->queue_wait(self->clock().now() - job.queued);
  auto worker = std::move(st.idle.front());
  st.idle.pop_front();
  st.busy.emplace(id, worker);
  auto& deadline = job.job.cancel->deadline; // begins with the work, not with the wait for it; nobody else reads it before the worker does
  if (deadline == std::chrono::steady_clock::time_point::max())
    deadline = std::chrono::steady_clock::now() + st.deps.job_timeout;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  const auto patience = std::max(left, std::chrono::milliseconds{0}) + st.deps.grace;
  ask(self, worker.handle, patience, job.job)
    .then([self, id](const msg::job_result& r) { on_result(self, id, r); }, [self, id](caf::error& e) { on_error(self, id, e); });
}

void pump(self_ptr self) {
  auto& st = self->state;
  while (!st.idle.empty()) {
    const auto next = st.queue->pop();
    if (!next)
      break;
    if (const auto& job = st.jobs.at(next->id); job.job.cancel->expired()) {
      if (auto ended = job_ended(self, next->id, true))
        ended->promise.deliver(to_error(stopped_early(ended->job)));
      continue;
    }
    start(self, next->id);
  }
  show(st);
}

/// Of those that wait for a worker, the ones that `which` names.
template <class Which, class Why>
void refuse_waiting(self_ptr self, Which which, Why why) {
  auto& st = self->state;
  std::vector<std::uint64_t> refused;
  for (const auto& [id, job] : st.jobs)
    if (which(job.job) && st.queue->cancel(id))
      refused.push_back(id);
  for (const auto id : refused)
    if (auto ended = job_ended(self, id, true))
      ended->promise.deliver(to_error(why(ended->job)));
  show(st);
}

std::string place_of(const worker_pool_state& st, const cancel_token_ptr& token) {
  const auto job = std::find_if(st.jobs.begin(), st.jobs.end(), [&](const auto& j) { return j.second.job.cancel == token; });
  const auto place = job == st.jobs.end() ? std::nullopt : st.queue->place(job->first);
  return place ? logic::in_words(*place, st.queue->waiting(), "worker") : std::string{};
}

caf::result<msg::job_result> on_job(self_ptr self, const msg::job& m) {
  auto& st = self->state;
  if (st.ending)
    return to_error(comes_too_late(m));
  const auto id = ++st.next_id;
  const auto answer = st.queue->push({id, m.kind == msg::job_kind::sync ? m.sync.key.ns : m.remote.ns, origin_of(m.remote.url), m.sync.user});
  if (answer != logic::admission_answer::accepted)
    return to_error({ec::overloaded, "the queue of syncs is full", m.remote.url, {}, {}});
  auto promise = self->make_response_promise<msg::job_result>(); // not before: an error cannot be returned once there is a promise
  auto& job = st.jobs[id];
  job = {m, promise, self->clock().now()};
  job.job.id = id;
  pump(self);
  return promise;
}

/// What runs may finish; what waits will not begin.
void end_in_order(self_ptr self) {
  auto& st = self->state;
  refuse_waiting(self, [](const msg::job&) { return true; }, comes_too_late);
  st.ending = true;
  st.deps.limits.slots = 0;
  fit_workers(self);
  if (st.busy.empty())
    self->quit(caf::exit_reason::user_shutdown);
}

} // namespace

worker_pool_state::~worker_pool_state() {
  for (auto& [id, job] : jobs)
    job.job.cancel->stop = true;
  for (auto& [id, worker] : busy)
    exit_now(worker.handle, caf::exit_reason::user_shutdown);
  for (auto& worker : idle)
    exit_now(worker.handle, caf::exit_reason::user_shutdown);
}

worker_pool_actor::behavior_type worker_pool(self_ptr self, worker_pool_deps deps) {
  install_default_handlers(self, worker_pool_state::name);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(st.deps.kind);
  st.queue.emplace(st.deps.limits);
  fit_workers(self);
  self->set_exit_handler([self](caf::exit_msg& m) {
    if (m.reason == caf::exit_reason::user_shutdown)
      end_in_order(self);
    else
      self->quit(m.reason);
  });
  return {
    [self](const msg::job& m) -> caf::result<msg::job_result> {
      const handling h{*self->state.cell, "job", self->mailbox().size()};
      return on_job(self, m);
    },
    [self](const msg::drop_stopped_jobs&) {
      const handling h{*self->state.cell, "drop_stopped_jobs", self->mailbox().size()};
      refuse_waiting(self, [](const msg::job& job) { return job.cancel->stop.load(); }, stopped_early);
    },
    [self](const msg::find_job& m) {
      const handling h{*self->state.cell, "find_job", self->mailbox().size()};
      return place_of(self->state, m.cancel);
    },
    [self](const msg::limits_changed& m) {
      const handling h{*self->state.cell, "limits_changed", self->mailbox().size()};
      auto& state = self->state;
      if (state.ending)
        return;
      state.deps.limits = *m.limits;
      state.deps.job_timeout = m.job_timeout;
      state.queue->change_limits(*m.limits);
      fit_workers(self);
      pump(self);
    },
  };
}

} // namespace veranda
