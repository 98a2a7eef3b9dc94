#include "actors/remote/remote_parts.hpp"

#include "actors/common/ask.hpp"
#include "actors/logic/remote_refs.hpp"
#include "messages/errors.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda::remote_parts {

namespace {

void start_listing(self_ptr self);

/// Whether other credentials might help: some servers hide from strangers what they have.
bool wants_credentials(const failure& why) { return why.code == ec::auth_rejected || why.code == ec::dependency_missing || why.code == ec::not_found; }

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

} // namespace

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

} // namespace veranda::remote_parts
