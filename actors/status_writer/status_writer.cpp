#include "actors/status_writer/status_writer.hpp"

#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = status_writer_state::name;
using self_ptr = status_writer_actor::stateful_pointer<status_writer_state>;

void pump(self_ptr self);

void answer_flushes(status_writer_state& st) {
  if (!st.waiting.empty() || !st.in_flight.empty())
    return;
  for (auto& promise : st.flushes)
    promise.deliver(true);
  st.flushes.clear();
}

void on_written(self_ptr self, const object_key& key, const std::string& sent) {
  auto& st = self->state;
  st.failures = 0;
  st.in_flight.erase(key);
  st.last_sent[key] = sent;
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
  st.in_flight.erase(m.key);
  st.deps.env.telemetry->status_written(false);
  const auto cls = class_of(why.code);
  if (cls == error_class::needs_change && why.code != ec::not_found) // this status will not do; the next one may
    log::warn(kind, "a status was refused", {{"key", to_string(m.key)}, {"err", describe(why)}});
  if (cls == error_class::needs_change || why.code == ec::conflict) { // gone or made anew: then its new actor speaks for it
    st.last_sent.erase(m.key);
    pump(self);
    return;
  }
  if (st.failures == 0)
    log::warn(kind, "a status could not be written; it is tried again", {{"key", to_string(m.key)}, {"err", describe(why)}});
  st.cell->set_last_error(describe(why));
  if (!st.waiting.contains(m.key)) {
    st.order.push_back(m.key);
    st.waiting.emplace(m.key, std::move(m));
  }
  back_off(self);
}

void send_one(self_ptr self, msg::publish_status m) {
  auto& st = self->state;
  auto json = st.deps.encode(m.status);
  const auto said = m.uid + json;
  if (auto last = st.last_sent.find(m.key); last != st.last_sent.end() && last->second == said)
    return;
  st.in_flight.insert(m.key);
  const auto key = m.key;
  msg::write_object write{msg::object_operation::update_status, st.deps.resource, key, m.uid, json};
  self->request(st.deps.objects, st.deps.write_timeout, std::move(write))
    .then([self, key, said](const msg::stored_object_ptr&) { on_written(self, key, said); },
          [self, m = std::move(m)](caf::error& e) mutable { on_failed(self, std::move(m), to_failure(e)); });
  if (st.deps.wake)
    st.deps.wake();
}

void pump(self_ptr self) {
  auto& st = self->state;
  for (std::size_t looked = 0, count = st.order.size(); !st.backing_off && looked < count && st.in_flight.size() < st.deps.max_in_flight; ++looked) {
    auto key = st.order.front();
    st.order.pop_front();
    if (st.in_flight.contains(key)) { // one write per repository at a time keeps them in order
      st.order.push_back(key);
      continue;
    }
    auto node = st.waiting.extract(key);
    send_one(self, std::move(node.mapped()));
  }
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.in_flight.size()));
  st.cell->set_detail("waiting", std::to_string(st.waiting.size()));
  answer_flushes(st);
}

void enqueue(self_ptr self, const msg::publish_status& m) {
  auto& st = self->state;
  auto [at, inserted] = st.waiting.insert_or_assign(m.key, m);
  if (inserted)
    st.order.push_back(at->first);
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
      if (m.epoch != st.retry_epoch)
        return;
      const handling h{*st.cell, "status_retry_due", self->mailbox().size()};
      st.backing_off = false;
      pump(self);
    },
  };
}

} // namespace veranda
