#include "actors/remote/remote_parts.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/log.hpp"
#include "actors/logic/remote_refs.hpp"
#include "messages/errors.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda::remote_parts {

namespace {

void job_ended(self_ptr self) {
  self->state.mirror_busy = false;
  self->state.job = nullptr;
  self->state.job_uid.clear();
  next_job(self);
  show(self->state);
}

/// Nobody waits for an answer from a remote that ends.
void refuse_all(remote_state& st) {
  const auto gone = to_error({ec::cancelled, "the repository has left this remote", {}, {}, {}});
  for (auto* list : {&st.waiters, &st.next_waiters})
    for (auto& w : *list)
      w.promise.deliver(gone);
  for (auto& s : st.syncs)
    s.promise.deliver(gone);
}

/// The last repository has left: the mirror goes, and this actor with it unless somebody joined meanwhile.
void remove_mirror(self_ptr self) {
  auto& st = self->state;
  st.mirror_busy = true;
  msg::job job;
  job.kind = msg::job_kind::remove_mirror;
  job.remote = st.deps.identity;
  job.mirror = st.deps.mirror.string();
  job.cancel = st.job = std::make_shared<cancel_token>();
  auto done = [self] {
    self->state.mirror_busy = false;
    self->state.job = nullptr;
    if (!self->state.members.empty()) {
      next_job(self);
      return;
    }
    refuse_all(self->state);
    if (self->state.deps.secret_keeper && !self->state.deps.identity.ns.empty())
      self->send(self->state.deps.secret_keeper, msg::secrets_unused{self->state.deps.identity});
    self->quit();
  };
  ask(self, st.deps.pool, st.deps.job_timeout, std::move(job))
    .then([done](const msg::job_result&) { done(); },
          [self, done, cancel = st.job](caf::error& e) {
            cancel->stop = true; // a late removal would hit a remote that has come back
            log::warn(remote_state::name, "a mirror could not be removed", {{"remote", to_string(self->state.deps.identity)}, {"err", describe(to_failure(e))}});
            done();
          });
}

} // namespace

void drop_stopped_job(self_ptr self) {
  auto& st = self->state;
  if (st.job && st.job->stop)
    self->send(st.deps.pool, msg::drop_stopped_jobs{});
}

void next_job(self_ptr self) {
  auto& st = self->state;
  if (st.mirror_busy)
    return;
  if (st.members.empty() && st.had_members && st.syncs.empty()) {
    remove_mirror(self);
    return;
  }
  if (st.syncs.empty())
    return;
  auto next = std::move(st.syncs.front());
  st.syncs.pop_front();
  st.mirror_busy = true;
  msg::job job;
  job.kind = msg::job_kind::sync;
  job.remote = st.deps.identity;
  job.mirror = st.deps.mirror.string();
  job.mirror_target = std::make_shared<const ref_table>(logic::mirrored_refs(*next.order.target, branches_of(st)));
  const bool user = next.order.user;
  job.cancel = st.job = next.order.cancel;
  st.job_uid = next.order.uid;
  job.sync = std::move(next.order);
  auto run = [self, promise = next.promise, job = std::move(job)]() mutable {
    ask(self, self->state.deps.pool, self->state.deps.job_timeout, job)
      .then(
        [self, promise](const msg::job_result& r) mutable {
          promise.deliver(r.synced);
          job_ended(self);
        },
        [self, promise](caf::error& e) mutable {
          const auto why = to_failure(e);
          if (why.code == ec::auth_rejected)
            tell_tried(self, true);
          if (why.retry_after)
            tell_host(self, 0, &why, why.retry_after);
          promise.deliver(std::move(e));
          job_ended(self);
        });
  };
  enter_host(
    self, user, true, [self, run](std::uint64_t) { with_secrets(self, run); },
    [self, promise = next.promise](const failure& why) mutable {
      promise.deliver(to_error(why));
      job_ended(self);
    });
}

} // namespace veranda::remote_parts
