#include "actors/status_writer/status_writer.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = status_writer_state::name;
using self_ptr = status_writer_actor::stateful_pointer<status_writer_state>;

void pump(self_ptr self);

constexpr std::uint64_t release_held = 0; ///< epoch of the timer of `held`; the others begin at 1

std::string ready_of(const repository_status& status) {
  return status.conditions.empty() ? std::string{} : status.conditions.front().status + " " + status.conditions.front().reason;
}

/// What does not lie in the status itself, nor in the store as a whole.
bool is_of_the_object(ec code) { return code == ec::auth_rejected || code == ec::unsupported || code == ec::throttled; }

void put_in_line(status_writer_state& st, msg::publish_status m) {
  const auto last = st.last_sent.find(m.key);
  const bool transition = last == st.last_sent.end() || last->second.ready != ready_of(m.status);
  const auto waiting = st.waiting.find(m.key);
  const bool refresh_waits = waiting != st.waiting.end() && last != st.last_sent.end() && last->second.ready == ready_of(waiting->second.status);
  if (waiting == st.waiting.end() || (transition && refresh_waits))
    (transition ? st.transitions : st.refreshes).push_back(m.key);
  auto key = m.key;
  st.waiting.insert_or_assign(std::move(key), std::move(m));
}

/// What one change by an administrator would mend: rights are those of a namespace, a definition is the cluster's.
std::string cause_of(const object_key& key, const failure& why) {
  auto cause = std::string{to_string(why.code)};
  if (why.code == ec::auth_rejected)
    cause += " " + key.ns;
  else if (why.code == ec::throttled)
    cause += " " + to_string(key);
  return cause;
}

/// It was written, or is gone, or there is another cause.
void no_more_refused(status_writer_state& st, const object_key& key) {
  for (auto cause = st.refused.begin(); cause != st.refused.end();)
    if (cause->second.erase(key) > 0 && cause->second.empty())
      cause = st.refused.erase(cause);
    else
      ++cause;
}

/// Says a new cause at once when none was said of late; else one line tells of all that came since.
void say_refused(status_writer_state& st, const object_key& key, const failure& why) {
  const auto cause = cause_of(key, why);
  if (const auto at = st.refused.find(cause); at != st.refused.end()) {
    if (!at->second.contains(key))
      no_more_refused(st, key);
    st.refused[cause].insert(key);
    return;
  }
  no_more_refused(st, key);
  st.refused[cause].insert(key);
  if (st.release_armed) {
    ++st.unsaid;
    st.newest_cause = why;
    return;
  }
  log::warn(kind, "a status is refused; it is tried again now and then, like others that are refused for the same reason", {{"key", to_string(key)}, {"err", describe(why)}});
}

void say_unsaid(status_writer_state& st) {
  if (const auto count = std::exchange(st.unsaid, 0); count > 0)
    log::warn(kind, "statuses are refused for further reasons; they are tried again now and then",
              {{"reasons", std::to_string(count)}, {"refused", std::to_string(st.held.size())}, {"err", describe(st.newest_cause)}});
}

/// Keeps a status that its object does not take now.
void hold(self_ptr self, msg::publish_status m, const failure& why) {
  auto& st = self->state;
  st.cell->set_last_error(describe(why));
  if (st.waiting.contains(m.key))
    return;
  say_refused(st, m.key, why);
  auto key = m.key;
  st.held.insert_or_assign(std::move(key), std::move(m));
  if (!std::exchange(st.release_armed, true))
    self->delayed_send(self, st.deps.retry_max, msg::status_retry_due{release_held});
}

void answer_flushes(status_writer_state& st) {
  if (!st.waiting.empty() || !st.in_flight.empty())
    return;
  for (auto& promise : st.flushes)
    promise.deliver(true);
  st.flushes.clear();
}

void on_written(self_ptr self, const object_key& key, status_writer_state::said sent) {
  auto& st = self->state;
  st.failures = 0;
  no_more_refused(st, key);
  if (const auto flight = st.in_flight.extract(key); flight && !flight.mapped().forgotten)
    st.last_sent[key] = std::move(sent);
  st.deps.env.telemetry->status_written(true);
  pump(self);
}

/// Writes that were under way together fail together: they count as one.
void back_off(self_ptr self) {
  auto& st = self->state;
  if (std::exchange(st.backing_off, true))
    return;
  const auto delay = std::min<std::chrono::milliseconds>(st.deps.retry_max, st.deps.retry_initial * (1LL << std::min(st.failures++, 10U)));
  self->delayed_send(self, delay, msg::status_retry_due{++st.retry_epoch});
}

void on_failed(self_ptr self, msg::publish_status m, const failure& why) {
  auto& st = self->state;
  const auto flight = st.in_flight.extract(m.key);
  if (flight && flight.mapped().forgotten) { // nobody reads it any more
    pump(self);
    return;
  }
  st.deps.env.telemetry->status_written(false);
  if (is_of_the_object(why.code)) {
    st.last_sent.erase(m.key);
    hold(self, std::move(m), why);
    pump(self);
    return;
  }
  const auto cls = class_of(why.code);
  if (cls == error_class::needs_change && why.code != ec::not_found) // this status will not do; the next one may
    log::warn(kind, "a status was refused", {{"key", to_string(m.key)}, {"err", describe(why)}});
  if (cls == error_class::needs_change || why.code == ec::conflict) { // gone or made anew: then its new actor speaks for it
    st.last_sent.erase(m.key);
    no_more_refused(st, m.key);
    pump(self);
    return;
  }
  if (st.failures == 0)
    log::warn(kind, "a status could not be written; it is tried again", {{"key", to_string(m.key)}, {"err", describe(why)}});
  st.cell->set_last_error(describe(why));
  if (!st.waiting.contains(m.key))
    put_in_line(st, std::move(m));
  back_off(self);
}

void send_one(self_ptr self, msg::publish_status m) {
  auto& st = self->state;
  auto json = st.deps.encode(m.status);
  status_writer_state::said said{m.uid, json, ready_of(m.status)};
  if (auto last = st.last_sent.find(m.key); last != st.last_sent.end() && last->second.uid == said.uid && last->second.text == said.text)
    return;
  st.in_flight.emplace(m.key, status_writer_state::flight{m.uid});
  const auto key = m.key;
  msg::write_object write{msg::object_operation::update_status, st.deps.resource, key, m.uid, json};
  ask(self, st.deps.objects, st.deps.write_timeout, std::move(write))
    .then([self, key, said = std::move(said)](const msg::stored_object_ptr&) { on_written(self, key, said); },
          [self, m = std::move(m)](caf::error& e) mutable { on_failed(self, std::move(m), to_failure(e)); });
  if (st.deps.wake)
    st.deps.wake();
}

/// Sends what may be sent now.
void send_from(self_ptr self, std::deque<object_key>& line) {
  auto& st = self->state;
  for (std::size_t looked = 0, count = line.size(); !st.backing_off && looked < count && st.in_flight.size() < st.deps.max_in_flight; ++looked) {
    auto key = std::move(line.front());
    line.pop_front();
    if (!st.waiting.contains(key)) // sent from the other line
      continue;
    if (st.in_flight.contains(key)) { // one write per repository at a time keeps them in order
      line.push_back(std::move(key));
      continue;
    }
    auto node = st.waiting.extract(key);
    send_one(self, std::move(node.mapped()));
  }
}

void pump(self_ptr self) {
  auto& st = self->state;
  send_from(self, st.transitions);
  send_from(self, st.refreshes);
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.in_flight.size()));
  st.cell->set_detail("waiting", std::to_string(st.waiting.size()));
  st.cell->set_detail("held", std::to_string(st.held.size()));
  answer_flushes(st);
}

void enqueue(self_ptr self, const msg::publish_status& m) {
  self->state.held.erase(m.key); // this one is newer
  put_in_line(self->state, m);
  pump(self);
}

/// Another may have the name by now: what is of it stays.
void forget(self_ptr self, const msg::forget_status& m) {
  auto& st = self->state;
  for (auto* line : {&st.waiting, &st.held})
    if (const auto at = line->find(m.key); at != line->end() && at->second.uid == m.uid)
      line->erase(at);
  if (const auto last = st.last_sent.find(m.key); last != st.last_sent.end() && last->second.uid == m.uid)
    st.last_sent.erase(last);
  if (!st.waiting.contains(m.key) && !st.held.contains(m.key))
    no_more_refused(st, m.key);
  if (const auto flight = st.in_flight.find(m.key); flight != st.in_flight.end() && flight->second.uid == m.uid)
    flight->second.forgotten = true;
  pump(self);
}

void release(self_ptr self) {
  auto& st = self->state;
  say_unsaid(st);
  st.release_armed = false;
  for (auto& [key, m] : std::exchange(st.held, {}))
    put_in_line(st, std::move(m));
  pump(self);
}

} // namespace

status_writer_actor::behavior_type status_writer(self_ptr self, status_writer_deps deps) {
  install_default_handlers(self, kind);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(kind, "");
  return {
    [self](const msg::publish_status& m) {
      const handling h{*self->state.cell, "publish_status", self->mailbox().size()};
      enqueue(self, m);
    },
    [self](const msg::forget_status& m) {
      const handling h{*self->state.cell, "forget_status", self->mailbox().size()};
      forget(self, m);
    },
    [self](const msg::flush_status&) -> caf::result<bool> {
      const handling h{*self->state.cell, "flush_status", self->mailbox().size()};
      auto promise = self->make_response_promise<bool>();
      self->state.flushes.push_back(promise);
      self->state.backing_off = false;
      pump(self);
      return promise;
    },
    [self](const msg::status_retry_due& m) {
      auto& st = self->state;
      if (m.epoch != release_held && m.epoch != st.retry_epoch)
        return;
      const handling h{*st.cell, "status_retry_due", self->mailbox().size()};
      if (m.epoch == release_held) {
        release(self);
        return;
      }
      st.backing_off = false;
      pump(self);
    },
  };
}

} // namespace veranda
