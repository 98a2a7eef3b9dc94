#include "actors/kube/package_rev_keeper.hpp"

#include "actors/common/guard.hpp"
#include "actors/kube/driving.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <set>

namespace veranda {

namespace {

using self_ptr = package_rev_keeper_actor::stateful_pointer<package_rev_keeper_state>;
using logic::package_rev_call;
using logic::package_rev_order;
using told = logic::reflector_event;

constexpr const char* kind = package_rev_keeper_state::name;
constexpr std::size_t feed_entries = 1'000; ///< of one slice
constexpr std::size_t max_events = 1'000;
constexpr logic::backoff_policy cache_backoff{.initial = std::chrono::seconds{1}, .max = std::chrono::seconds{30}};

double draw(package_rev_keeper_state& st) { return std::uniform_real_distribution<double>{0.0, 1.0}(st.rng); }

// -- the cache

void read_cache(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  st.cache_read = false;
  if (st.cache_due && *st.cache_due > now)
    return;
  const auto loads = st.feed->loads();
  auto more = st.feed->step(*st.machine, now, feed_entries);
  if (st.feed->loads() != loads)
    log::info(kind, "read all package revisions", {{"count", std::to_string(st.machine->count().desired)}, {"position", std::to_string(st.feed->position())}});
  if (more) {
    st.cache_failures = 0;
    st.cache_due.reset();
    st.cache_read = !*more;
    return;
  }
  st.cell->set_last_error(describe(more.error()));
  if (st.cache_failures == 0)
    log::warn(kind, "the package cache cannot be read; trying again", {{"err", describe(more.error())}});
  st.cache_due = now + logic::next_delay(cache_backoff, st.cache_failures++, draw(st));
}

// -- the objects

/// Why objects cannot be followed, and what to do about it. (What is missing says so itself.)
std::string explain(const failure& why) {
  auto text = describe(why);
  if (why.code == ec::auth_rejected)
    text += "; grant list and watch on " + kube::package_revs().name();
  return text;
}

/// The first reason why the objects are not in step, for those who ask.
void tell(package_rev_keeper_state& st) {
  if (!st.said || !st.deps.problem)
    return;
  if (st.machine->count().failing == 0)
    st.refused.reset();
  auto text = *st.said;
  if (text.empty() && st.refused)
    text = "some of them cannot be written: " + describe(*st.refused);
  if (std::exchange(st.told, text) != text)
    st.deps.problem(text);
}

void report(package_rev_keeper_state& st) {
  std::string text;
  for (const auto& f : st.followers)
    if (const auto& problem = f->state().problem(); problem && text.empty())
      text = explain(*problem);
  if (text.empty() && st.deps.client->credential_problem())
    text = explain(*st.deps.client->credential_problem());
  const bool synced = std::ranges::all_of(st.followers, [](const auto& f) { return f->state().synced(); });
  if (st.said == text || (text.empty() && !synced))
    return;
  const bool first = !st.said;
  st.said = text;
  tell(st);
  if (text.empty() && !first)
    log::info(kind, "PackageRev objects are followed again");
  else if (!text.empty())
    log::warn(kind, "PackageRev objects cannot be followed; trying again", {{"err", text}});
}

void follow(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  for (auto& f : st.followers) {
    f->step(now, max_events);
    for (const auto& event : f->take_events()) {
      if (event.type == told::kind::deleted)
        st.machine->gone(event.object.key, event.object.uid, now);
      else if (event.type == told::kind::applied && std::ranges::all_of(st.followers, [](const auto& other) { return other->state().synced(); }))
        st.machine->listed(now);
      else if (event.type == told::kind::added || event.type == told::kind::modified)
        st.machine->seen(event.object.key, kube::view_of(event.object), now);
    }
  }
  report(st);
}

/// An API server without the definition has no objects.
bool undefined(const package_rev_keeper_state& st) {
  return std::ranges::all_of(st.followers, [](const auto& f) { return !f->state().synced() && f->state().problem() && f->state().problem()->code == ec::not_found; });
}

// -- requests

void say_failed(package_rev_keeper_state& st, const package_rev_order& order, const failure& why) {
  st.cell->set_last_error(describe(why));
  log::warn(kind, "a PackageRev object cannot be kept in step; trying again, also with others that fail so",
            {{"operation", to_string(order.call)}, {"key", to_string(order.key)}, {"err", describe(why)}});
}

void count(package_rev_keeper_state& st, const package_rev_order& order, const failure* why) {
  ++(order.call == package_rev_call::read ? st.reads : st.written);
  if (st.deps.telemetry)
    st.deps.telemetry->package_rev_requested(to_string(order.call), why);
}

void fail(self_ptr self, const package_rev_order& order, const failure& why) {
  auto& st = self->state;
  if (const auto kind_of = class_of(why.code); kind_of != error_class::race && kind_of != error_class::stop)
    st.refused = why;
  if (st.machine->failed(order.key, why, self->clock().now(), draw(st)))
    say_failed(st, order, why);
}

/// Tells the machine what a request was answered with.
void take_answer(self_ptr self, const package_rev_order& order, const kube::api_request& request, result<kube::api_answer> answer) {
  auto& st = self->state;
  const auto now = self->clock().now();
  if (answer && order.call == package_rev_call::create && kube::already_exists(*answer)) {
    count(st, order, nullptr);
    return st.machine->exists(order.key, now);
  }
  const int status = answer ? answer->status : 0;
  auto body = answer ? kube::body_of(std::move(*answer), request) : result<std::string>{answer.error()};
  if (!body && body.error().code == ec::not_found && status == 404 && order.call != package_rev_call::create) {
    count(st, order, nullptr);
    return st.machine->ended(order.key, now);
  }
  auto object = body ? st.decoder->object(std::move(*body)) : result<api_object>{body.error()};
  count(st, order, body ? nullptr : &body.error());
  if (object)
    return st.machine->answered(order.key, kube::view_of(*object), now);
  if (body && order.call == package_rev_call::remove && object.error().code == ec::unsupported) // a Status: it is gone
    return st.machine->ended(order.key, now);
  fail(self, order, kube::with_right(object.error(), status, request.method, kube::package_revs().name(), order.key.ns));
}

/// The request that carries out an order. `cancelled` when what it follows from holds no more.
result<kube::api_request> request_for(package_rev_keeper_state& st, const package_rev_order& order, package_rev_keeper_state::time now) {
  if (order.absent) {
    const auto holds = st.feed->holds(order.repository, *st.machine, now);
    if (!holds)
      return holds.error();
    if (!*holds)
      return failure{ec::cancelled, "the cache has lost its repository meanwhile", to_string(order.key), {}, {}};
  }
  switch (order.call) {
    case package_rev_call::read: return kube::get_request(kube::package_revs(), order.key);
    case package_rev_call::release: return kube::release_package_rev(order);
    case package_rev_call::remove: return kube::remove_package_rev(order);
    default: break;
  }
  auto part = st.feed->part(order.key);
  if (!part)
    return part.error();
  if (!*part)
    return failure{ec::cancelled, "its revision has left the cache meanwhile", to_string(order.key), {}, {}};
  return order.call == package_rev_call::create ? kube::create_package_rev(order.key, **part) : kube::patch_package_rev(order, **part);
}

void start_requests(self_ptr self) {
  auto& st = self->state;
  if (!st.cache_read) // what is wanted may be the past
    return;
  const auto now = self->clock().now();
  for (const auto& order : st.machine->start(now)) {
    auto request = request_for(st, order, now);
    if (!request) {
      fail(self, order, request.error());
      continue;
    }
    st.deps.client->start(*request, [self, order, request = *request, alive = std::weak_ptr{st.alive}](result<kube::api_answer> answer) {
      if (!alive.expired())
        take_answer(self, order, request, std::move(answer));
    });
  }
}

// -- who waits

/// What keeps the objects of a repository from going when only others can do something about it. (A server that does not serve is no news to anybody.)
std::optional<failure> explain_expulsion(const package_rev_keeper_state& st, const object_key& repository) {
  const auto problem = [&](ec code, std::string what) { return failure{code, std::move(what), kube::package_revs().name() + " in namespace " + repository.ns, {}, {}}; };
  if (!st.machine->ready() && !st.said.value_or("").empty())
    return problem(ec::dependency_missing, "its PackageRev objects cannot be listed: " + *st.said);
  const auto kept = st.machine->obstacle_of(kube::package_rev_group(repository));
  if (kept.held > 0) {
    std::string others;
    for (const auto& finalizer : kube::foreign_finalizers(kept.foreign))
      others += (others.empty() ? "" : ", ") + finalizer;
    return problem(ec::dependency_missing, std::to_string(kept.held) + " of its PackageRev objects wait for finalizers of others, the first of them " + kept.example.name + " for " + others +
                                             ": whoever set them must take them off");
  }
  if (kept.refused && class_of(kept.refused->code) != error_class::retry)
    return problem(ec::dependency_missing, "its PackageRev objects cannot be removed: " + describe(*kept.refused));
  return std::nullopt;
}

void answer_expulsions(self_ptr self, bool undefined_objects) {
  auto& st = self->state;
  const auto now = self->clock().now();
  std::erase_if(st.expulsions, [&](auto& e) {
    const auto group = kube::package_rev_group(e.repository);
    const bool gone = st.cache_read && (st.machine->take_expelled(group) || undefined_objects);
    if (!gone && now - e.asked < st.deps.expulsion_patience)
      return false;
    if (gone) {
      st.machine->end_expulsion(group, now);
      e.promise.deliver(true);
    } else if (auto why = explain_expulsion(st, e.repository))
      e.promise.deliver(to_error(*why));
    else
      e.promise.deliver(false);
    return true;
  });
}

void answer_waiting(self_ptr self) {
  auto& st = self->state;
  const bool none = undefined(st);
  answer_expulsions(self, none);
  if (!st.cache_read)
    return;
  // What is still pending with nothing under way has to wait.
  if (none || (st.machine->ready() ? st.machine->in_flight() == 0 : !st.said.value_or("").empty()))
    for (auto& promise : std::exchange(st.waiting, {}))
      promise.deliver(st.machine->ready() && st.machine->count().pending == 0);
}

// -- what is seen of it

std::string state_of(const package_rev_keeper_state& st, const package_rev_counts& counts) {
  if (!st.said.value_or("").empty() || st.cache_due)
    return "backing off";
  if (!st.machine->ready())
    return "listing";
  return counts.pending > 0 ? "writing" : "in step";
}

void show(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  const auto& c = st.machine->count();
  if (c.pending == 0 && st.machine->ready())
    st.behind_since.reset();
  else if (!st.behind_since)
    st.behind_since = now;
  const package_rev_counts counts{c.desired, c.present, c.pending, c.failing, st.behind_since ? now - *st.behind_since : std::chrono::nanoseconds{0}};
  if (st.shown == counts)
    return;
  st.shown = counts;
  tell(st);
  if (st.deps.telemetry)
    st.deps.telemetry->package_revs(counts);
  st.cell->set_state(state_of(st, counts));
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.machine->in_flight()));
  const auto detail = [&](const char* name, auto value) { st.cell->set_detail(name, std::to_string(value)); };
  detail("desired", c.desired);
  detail("present", c.present);
  detail("pending", c.pending);
  detail("failing", c.failing);
  detail("strays", c.strays);
  detail("lag_seconds", std::chrono::duration_cast<std::chrono::seconds>(counts.lag).count());
  detail("feed_position", st.feed->position());
  detail("writes", st.written);
  detail("reads", st.reads);
}

/// How long there is nothing to do unless something comes.
std::chrono::milliseconds idle_time(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  auto out = st.deps.slice;
  const auto until = [&](std::optional<package_rev_keeper_state::time> due) {
    if (due && *due > now)
      out = std::min(out, std::chrono::duration_cast<std::chrono::milliseconds>(*due - now) + std::chrono::milliseconds{1});
  };
  if (st.machine->ready())
    until(st.machine->due());
  for (const auto& f : st.followers)
    until(f->due());
  return st.cache_read || st.cache_due ? out : std::chrono::milliseconds{1};
}

/// Whether there is anything to do here at all.
bool begun(package_rev_keeper_state& st) {
  if (!st.begun && (!st.deps.may_begin || st.deps.may_begin())) {
    st.begun = true;
    st.cell->set_state("listing");
  }
  return st.begun;
}

void drive(self_ptr self) {
  auto& st = self->state;
  if (!begun(st)) {
    self->delayed_send(self, st.deps.slice, msg::continue_transfers{});
    return;
  }
  {
    const handling h{*st.cell, "continue_transfers", self->mailbox().size()};
    read_cache(self);
    follow(self);
    start_requests(self);
    answer_waiting(self);
    show(self);
  }
  st.deps.client->run_for(idle_time(self)); // mostly waiting, so it does not count as work
  if (st.deps.rest.count() > 0)
    self->delayed_send(self, st.deps.rest, msg::continue_transfers{});
  else
    self->send(self, msg::continue_transfers{});
}

void prepare(package_rev_keeper_state& st, package_rev_keeper_deps deps) {
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(kind, "");
  st.cell->set_state("standing by");
  st.cell->set_stuck_after(std::chrono::minutes{1}); // the whole cache is read in one go
  st.rng.seed(st.deps.env.seed ^ std::hash<std::string_view>{}(kind));
  st.machine = std::make_unique<logic::package_rev_machine>(st.deps.policy);
  st.feed = std::make_unique<package_rev_feed>(st.deps.open_cache, st.deps.owner);
  st.decoder = std::make_unique<kube::object_decoder>(kube::package_revs().kind, kube::package_revs().api_version());
  std::set<std::string> scopes{st.deps.namespaces.begin(), st.deps.namespaces.end()};
  if (scopes.empty())
    scopes.insert("");
  for (const auto& ns : scopes)
    st.followers.push_back(std::make_unique<kube::collection_follower>(*st.deps.client, kube::package_revs(), kube::api_scope{ns, std::string{kube::package_rev_repository_label}, {}},
                                                                       st.deps.following, st.rng()));
}

} // namespace

package_rev_keeper_state::~package_rev_keeper_state() {
  drop_calls(*this);
  followers.clear();
}

package_rev_keeper_actor::behavior_type package_rev_keeper(self_ptr self, package_rev_keeper_deps deps) {
  install_default_handlers(self, kind);
  prepare(self->state, std::move(deps));
  self->send(self, msg::continue_transfers{});
  return {
    [self](const msg::repository_in_step& m) {
      const handling h{*self->state.cell, "repository_in_step", self->mailbox().size()};
      self->state.feed->synced(m.repository, m.uid);
    },
    [self](const msg::expel_package_revs& m) -> caf::result<bool> {
      auto& st = self->state;
      const handling h{*st.cell, "expel_package_revs", self->mailbox().size()};
      const auto now = self->clock().now();
      auto promise = self->make_response_promise<bool>();
      st.feed->forget(m.repository, *st.machine, now);
      st.machine->expel(kube::package_rev_group(m.repository), now);
      for (auto& e : st.expulsions)
        if (e.repository == m.repository) { // whoever asked has given up
          e.promise.deliver(false);
          e.asked = now;
          e.promise = promise;
          return promise;
        }
      st.expulsions.push_back({m.repository, now, promise});
      return promise;
    },
    [self](const msg::await_package_revs&) -> caf::result<bool> {
      const handling h{*self->state.cell, "await_package_revs", self->mailbox().size()};
      auto promise = self->make_response_promise<bool>();
      self->state.waiting.push_back(promise);
      return promise;
    },
    [self](const msg::continue_transfers&) { drive(self); },
  };
}

} // namespace veranda
