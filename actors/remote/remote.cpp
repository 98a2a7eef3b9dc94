#include "actors/remote/remote.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/remote_refs.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = remote_actor::stateful_pointer<remote_state>;

void start_listing(self_ptr self);
void next_job(self_ptr self);

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

// -- Secrets -------------------------------------------------------------------------------------

/// Goes on when what is known of this remote's Secrets is young, or cannot be had.
template <class Then>
void with_secrets(self_ptr self, Then then) {
  auto& st = self->state;
  if (!st.deps.secret_keeper || st.deps.identity.ns.empty()) {
    then();
    return;
  }
  ask(self, st.deps.secret_keeper, st.deps.secret_patience, msg::fetch_secrets{st.deps.identity}).then([then](bool) mutable { then(); }, [then](caf::error&) mutable { then(); });
  st.deps.wake_secret_keeper();
}

/// Whether other credentials might help: some servers hide from strangers what they have.
bool wants_credentials(const failure& why) { return why.code == ec::auth_rejected || why.code == ec::dependency_missing || why.code == ec::not_found; }

void tell_tried(self_ptr self, bool refused) {
  auto& st = self->state;
  if (st.deps.secret_keeper && !st.deps.identity.secret.empty() && (refused || st.secrets_refused))
    self->send(st.deps.secret_keeper, msg::secrets_tried{st.deps.identity, refused});
  st.secrets_refused = refused;
}

// -- the host -----------------------------------------------------------------------------------

/// An anonymous host counts by address, others by account.
std::string budget_of(const remote_identity& id) { return id.secret.empty() ? std::string{} : id.ns + "/" + id.secret; }

/// Goes on when the host may be asked, with the number of the try when it decides for others, too; or hears why not.
template <class Go, class Refused>
void enter_host(self_ptr self, bool user, bool fetch, Go go, Refused refused) {
  auto& st = self->state;
  if (!st.deps.hosts || st.deps.host.empty()) {
    go(std::uint64_t{0});
    return;
  }
  msg::enter_host wanted{st.deps.host, to_string(st.deps.identity), budget_of(st.deps.identity), user, fetch};
  ask(self, st.deps.hosts, st.deps.listing_patience, std::move(wanted))
    .then([go](const msg::host_pass& pass) mutable { go(pass.probe); },
          [go, refused](caf::error& e) mutable {
            const auto why = to_failure(e);
            if (why.code == ec::host_unavailable || why.code == ec::overloaded)
              refused(why);
            else
              go(std::uint64_t{0}); // nobody decides: better asked than left
          });
}

void tell_host(self_ptr self, std::uint64_t probe, const failure* why, std::optional<std::chrono::milliseconds> pause) {
  auto& st = self->state;
  if (st.deps.hosts && !st.deps.host.empty())
    self->send(st.deps.hosts, msg::host_answered{st.deps.host, to_string(st.deps.identity), budget_of(st.deps.identity), probe,
                                                 why != nullptr ? std::optional{*why} : std::nullopt, pause});
}

// -- listings ------------------------------------------------------------------------------------

/// A waiter can be served when it knows the table already, or the table is there.
bool serves(const git::listing& listed, const std::string& known) { return listed.refs || listed.digest == known; }

msg::listing_ptr with_table(const git::listing& listed, ref_table_ptr table) {
  auto whole = std::make_shared<git::listing>(listed);
  whole->refs = std::move(table);
  return whole;
}

/// A listing covers a repository when it asked for its branch: branches are registered while listings are under way.
bool covers(const remote_state& st, const std::set<std::string>& branches, const std::string& uid) {
  const auto member = st.members.find(uid);
  return member != st.members.end() && branches.contains(member->second);
}

/// Serves from the last listing when it is young enough.
bool serve_from_last(remote_state& st, remote_state::waiter& w) {
  if (!st.last || st.last_began < w.wanted.not_before || !covers(st, st.last_branches, w.wanted.uid))
    return false;
  auto table = st.last_table.lock();
  if (!table && st.last->digest != w.wanted.known_digest)
    return false;
  w.promise.deliver(with_table(*st.last, std::move(table)));
  return true;
}

/// The digest that every waiter knows, or nothing: only then may the table be left out.
std::string common_known(const std::vector<remote_state::waiter>& waiters) {
  const auto& first = waiters.front().wanted.known_digest;
  for (const auto& w : waiters)
    if (w.wanted.known_digest != first)
      return {};
  return first;
}

void listing_ended(self_ptr self, const result<msg::listing_ptr>& outcome) {
  auto& st = self->state;
  st.listing = false;
  auto waiters = std::move(st.waiters);
  st.waiters.clear();
  const auto took = self->clock().now() - st.asked_at;
  tell_host(self, std::exchange(st.probe, 0), outcome ? nullptr : &outcome.error(), outcome ? (*outcome)->host_pause : outcome.error().retry_after);
  if (outcome || wants_credentials(outcome.error()))
    tell_tried(self, !outcome);
  st.deps.env.telemetry->listing_ended(outcome ? nullptr : &outcome.error(), took, outcome ? (*outcome)->received_bytes : 0);
  if (outcome) {
    const auto& listed = **outcome;
    st.last_began = st.listing_began;
    st.last_branches = st.listing_branches;
    st.last_table = listed.refs ? listed.refs : st.last && st.last->digest == listed.digest ? st.last_table.lock() : nullptr;
    st.last = with_table(listed, nullptr);
    st.cell->set_last_error("");
    for (auto& w : waiters) {
      if (serves(listed, w.wanted.known_digest))
        w.promise.deliver(*outcome);
      else
        st.next_waiters.push_back(std::move(w));
    }
  } else {
    st.cell->set_last_error(describe(outcome.error()));
    for (auto& w : waiters)
      w.promise.deliver(to_error(outcome.error()));
  }
  start_listing(self);
  show(st);
}

/// The host is not to be asked now.
void listing_refused(self_ptr self, const failure& why) {
  auto& st = self->state;
  st.listing = false;
  st.cell->set_last_error(describe(why));
  for (auto& w : std::exchange(st.waiters, {}))
    w.promise.deliver(to_error(why));
  start_listing(self);
  show(st);
}

/// One listing for everybody who waits; its own token, since those who wait come and go.
void start_listing(self_ptr self) {
  auto& st = self->state;
  if (st.listing || st.next_waiters.empty())
    return;
  st.listing = true;
  st.listing_began = self->clock().now();
  st.waiters = std::move(st.next_waiters);
  st.next_waiters.clear();
  st.listing_known = common_known(st.waiters);
  auto cancel = std::make_shared<cancel_token>();
  st.listing_branches = branches_of(st);
  auto prefixes = logic::ref_prefixes_for(st.listing_branches);
  st.listing_token = cancel;
  const bool user = std::any_of(st.waiters.begin(), st.waiters.end(), [](const auto& w) { return w.wanted.user; });
  auto failed = [self, cancel](caf::error& e) {
    cancel->stop = true;
    listing_ended(self, e == caf::sec::request_timeout ? failure{ec::overloaded, "the listing waited too long for its turn", {}, {}, {}} : to_failure(e));
  };
  auto list = [self, failed, cancel, user, prefixes = std::move(prefixes)] {
    auto& state = self->state;
    state.asked_at = self->clock().now();
    if (state.deps.over_http) {
      ask(self, state.deps.http, state.deps.listing_patience, msg::list_http{state.deps.identity, prefixes, state.listing_known, cancel, user})
        .then([self](const msg::listing_ptr& listed) { listing_ended(self, listed); }, failed);
      state.deps.wake_http();
      return;
    }
    msg::job job;
    job.kind = msg::job_kind::list;
    job.remote = state.deps.identity;
    job.prefixes = prefixes;
    job.known_digest = state.listing_known;
    job.sync.user = user;
    job.cancel = cancel;
    ask(self, state.deps.listers, state.deps.listing_patience, std::move(job)).then([self](const msg::job_result& r) { listing_ended(self, r.listed); }, failed);
  };
  st.entering = true;
  enter_host(
    self, user, false,
    [self, list](std::uint64_t probe) {
      self->state.entering = false;
      self->state.probe = probe;
      with_secrets(self, list);
      show(self->state);
    },
    [self](const failure& why) {
      self->state.entering = false;
      listing_refused(self, why);
    });
}

caf::result<msg::listing_ptr> on_get_listing(self_ptr self, const msg::get_listing& m) {
  auto& st = self->state;
  if (!st.members.contains(m.uid))
    return to_error({ec::cancelled, "the repository has left this remote", {}, {}, {}});
  remote_state::waiter w{m, self->make_response_promise<msg::listing_ptr>()};
  auto promise = w.promise;
  if (serve_from_last(st, w))
    return promise;
  if (st.listing && st.listing_began >= m.not_before && covers(st, st.listing_branches, m.uid)) {
    st.waiters.push_back(std::move(w));
  } else {
    st.next_waiters.push_back(std::move(w));
    start_listing(self);
  }
  show(st);
  return promise;
}

// -- the mirror ----------------------------------------------------------------------------------

void job_ended(self_ptr self) {
  self->state.mirror_busy = false;
  self->state.job = nullptr;
  self->state.job_uid.clear();
  next_job(self);
  show(self->state);
}

/// A job that was stopped while it waits for a worker does not keep those behind it waiting.
void drop_stopped_job(self_ptr self) {
  auto& st = self->state;
  if (st.job && st.job->stop)
    self->send(st.deps.pool, msg::drop_stopped_jobs{});
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

// -- who asks where something waits --------------------------------------------------------------

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
