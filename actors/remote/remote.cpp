#include "actors/remote/remote.hpp"

#include "actors/common/guard.hpp"
#include "actors/remote/remote_parts.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace remote_parts {

std::set<std::string> branches_of(const remote_state& st) {
  std::set<std::string> branches;
  for (const auto& [uid, branch] : st.members)
    branches.insert(branch);
  return branches;
}

void show(remote_state& st) {
  st.cell->set_state(st.entering ? "waiting for its host" : st.listing ? "listing" : st.mirror_busy ? "working" : "idle");
  st.cell->set_detail("repositories", std::to_string(st.members.size()));
  st.cell->set_detail("waiting", std::to_string(st.waiters.size() + st.next_waiters.size() + st.syncs.size()));
}

namespace {

/// Where something waits, for who asks.
caf::result<std::string> on_get_place(self_ptr self, const msg::get_place& m) {
  auto& st = self->state;
  const auto of_uid = [&](const auto& w) { return w.wanted.uid == m.uid; };
  if (std::any_of(st.waiters.begin(), st.waiters.end(), of_uid)) {
    if (st.entering)
      return std::string{"waits until its host is known to answer: a try is under way"};
    if (!st.deps.over_http)
      return self->delegate(st.deps.listers, msg::find_job{st.listing_token});
    auto place = self->delegate(st.deps.http, msg::find_job{st.listing_token});
    st.deps.wake_http();
    return place;
  }
  if (std::any_of(st.next_waiters.begin(), st.next_waiters.end(), of_uid))
    return std::string{"waits for the end of a listing of its remote that began too early"};
  const auto behind = std::find_if(st.syncs.begin(), st.syncs.end(), [&](const auto& s) { return s.order.uid == m.uid; });
  if (behind != st.syncs.end())
    return "number " + std::to_string(behind - st.syncs.begin() + 1) + " of " + std::to_string(st.syncs.size()) + " that wait for the mirror of their remote";
  if (st.job && st.job_uid == m.uid)
    return self->delegate(st.deps.pool, msg::find_job{st.job});
  return std::string{};
}

} // namespace

} // namespace remote_parts

using namespace remote_parts;

remote_state::~remote_state() {
  if (job)
    job->stop = true;
  if (listing_token)
    listing_token->stop = true;
}

remote_actor::behavior_type remote(self_ptr self, remote_deps deps) {
  install_default_handlers(self, remote_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(remote_state::name, to_string(self->state.deps.identity));
  return {
    [self](const msg::join_remote& m) {
      auto& st = self->state;
      const handling h{*st.cell, "join_remote", self->mailbox().size()};
      st.had_members = true;
      st.members.insert_or_assign(m.uid, m.branch);
      show(st);
    },
    [self](const msg::leave_remote& m) {
      const handling h{*self->state.cell, "leave_remote", self->mailbox().size()};
      self->state.members.erase(m.uid);
      drop_stopped_job(self);
      next_job(self);
      show(self->state);
    },
    [self](const msg::get_listing& m) {
      const handling h{*self->state.cell, "get_listing", self->mailbox().size()};
      return on_get_listing(self, m);
    },
    [self](const msg::get_place& m) -> caf::result<std::string> {
      const handling h{*self->state.cell, "get_place", self->mailbox().size()};
      return on_get_place(self, m);
    },
    [self](const msg::run_sync& m) -> caf::result<msg::sync_result_ptr> {
      const handling h{*self->state.cell, "run_sync", self->mailbox().size()};
      if (!self->state.members.contains(m.uid))
        return to_error({ec::cancelled, "the repository has left this remote", {}, {}, {}});
      auto promise = self->make_response_promise<msg::sync_result_ptr>();
      self->state.syncs.push_back({m, promise});
      drop_stopped_job(self);
      next_job(self);
      show(self->state);
      return promise;
    },
  };
}

} // namespace veranda
