#include "actors/kube/kube_writer.hpp"

#include "actors/common/guard.hpp"
#include "actors/kube/driving.hpp"
#include "adapters/kube/status_patch.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = kube_writer_actor::stateful_pointer<kube_writer_state>;
using outcome = result<api_object>;

/// One status on its way.
struct write {
  msg::write_object order;
  caf::typed_response_promise<msg::stored_object_ptr> promise;
  unsigned tries = 0;
  bool no_status = false; ///< the server knew no `/status` of it
};

void read(self_ptr self, write w);
void patch(self_ptr self, write w, const kube::known_object& known);

std::string about(const kube_writer_state& st, const object_key& key) { return st.deps.type.name() + " " + to_string(key); }

void finish(self_ptr self, write& w, result<msg::stored_object_ptr> end) {
  auto& st = self->state;
  --st.writing;
  st.deps.health->note(end ? nullptr : &end.error());
  if (end) {
    ++st.written;
    w.promise.deliver(std::move(*end));
    return;
  }
  if (end.error().code != ec::not_found)
    st.cell->set_last_error(describe(end.error()));
  w.promise.deliver(to_error(end.error()));
}

/// What no API server says of an object it serves (a login page, somebody else's answer) is about the server: it holds for every object alike.
failure as_of_the_server(failure why) {
  if (why.code == ec::unsupported)
    why.code = ec::unavailable;
  return why;
}

/// Starts a call; `then` hears the object that was answered, or why there is none. Nobody hears anything when the actor has ended.
template <class Then>
void ask(self_ptr self, const kube::api_request& request, Then then) {
  auto& st = self->state;
  st.deps.client->start(request, [self, request, alive = std::weak_ptr{st.alive}, then = std::move(then)](result<kube::api_answer> answer) mutable {
    if (alive.expired())
      return;
    const int status = answer ? answer->status : 0;
    auto body = answer ? kube::body_of(std::move(*answer), request) : result<std::string>{answer.error()};
    auto object = body ? self->state.decoder->object(std::move(*body)) : outcome{body.error()};
    if (!object)
      object = as_of_the_server(object.error());
    if (object && object->key.name.empty())
      object = failure{ec::unavailable, "the API server answered with something else than the object", request.object, {}, {}};
    if (object)
      self->state.deps.known->answered(*object);
    then(status, std::move(object));
  });
}

kube::known_object known_of(const api_object& object) {
  return {object.uid, object.resource_version, kube::told_conditions(object.json), kube::foreign_conditions(object.json)};
}

void read(self_ptr self, write w) {
  const auto request = kube::get_request(self->state.deps.type, w.order.key);
  ask(self, request, [self, w = std::move(w)](int, outcome object) mutable {
    if (!object)
      finish(self, w, object.error());
    else if (!w.order.uid.empty() && object->uid != w.order.uid)
      finish(self, w, failure{ec::not_found, "the object was made anew", about(self->state, w.order.key), {}, {}});
    else if (w.no_status)
      finish(self, w, failure{ec::unsupported, "its CustomResourceDefinition serves no status", about(self->state, w.order.key), {}, {}});
    else
      patch(self, std::move(w), known_of(*object));
  });
}

void on_patched(self_ptr self, write w, int status, outcome object) {
  auto& st = self->state;
  if (object) {
    store::stored_object stored{w.order.resource, w.order.key, object->uid, 0, object->generation, std::move(object->json)};
    finish(self, w, std::make_shared<const store::stored_object>(std::move(stored)));
    return;
  }
  const auto& why = object.error();
  w.no_status = status == 404 && why.code == ec::not_found;
  const bool contested = why.code == ec::conflict;
  st.conflicts += contested ? 1 : 0;
  if (contested && w.tries >= st.deps.max_tries)
    finish(self, w, failure{ec::throttled, "others keep writing the object: its status was not written in " + std::to_string(w.tries) + " tries", why.object, {}, {}});
  else if (contested || w.no_status)
    read(self, std::move(w));
  else
    finish(self, w, why);
}

void patch(self_ptr self, write w, const kube::known_object& known) {
  auto& st = self->state;
  ++w.tries;
  if (w.tries == 1)
    st.events->note(w.order.key, known.uid, w.order.json, known.told);
  const auto request = kube::status_patch_request(st.deps.type, w.order.key, known.resource_version, kube::status_patch(w.order.json, known.foreign));
  ask(self, request, [self, w = std::move(w)](int status, outcome object) mutable { on_patched(self, std::move(w), status, std::move(object)); });
}

void begin(self_ptr self, write w) {
  auto& st = self->state;
  ++st.writing;
  if (const auto known = st.deps.known->find(w.order.key); known && (w.order.uid.empty() || known->uid == w.order.uid))
    patch(self, std::move(w), *known);
  else
    read(self, std::move(w));
}

/// Goes on while there is something under way; then sleeps until an event is due, or something comes.
void drive(self_ptr self) {
  auto& st = self->state;
  const auto now = [self] { return self->clock().now(); };
  st.events->step(now());
  if (st.deps.client->active() > 0)
    st.deps.client->run_for(st.deps.slice);
  st.events->step(now());
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.writing));
  st.cell->set_detail("written", std::to_string(st.written));
  st.cell->set_detail("conflicts", std::to_string(st.conflicts));
  st.cell->set_detail("events_waiting", std::to_string(st.events->queued()));
  st.cell->set_detail("events_dropped", std::to_string(st.events->dropped()));
  st.driving = st.deps.client->active() > 0;
  if (st.driving)
    self->send(self, msg::continue_transfers{});
  else if (const auto due = st.events->due())
    self->delayed_send(self, std::max(std::chrono::duration_cast<std::chrono::milliseconds>(*due - now()), std::chrono::milliseconds{1}), msg::status_retry_due{++st.sleep_epoch});
}

void prepare(kube_writer_state& st, kube_writer_deps deps) {
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(kube_writer_state::name, "");
  st.decoder = std::make_unique<kube::object_decoder>(st.deps.type.kind, st.deps.type.api_version());
  st.events = std::make_unique<event_sender>(st.deps.env, st.deps.client, st.deps.events);
}

} // namespace

kube_writer_state::~kube_writer_state() { drop_calls(*this); }

kube_writer_actor::behavior_type kube_writer(self_ptr self, kube_writer_deps deps) {
  install_default_handlers(self, kube_writer_state::name);
  prepare(self->state, std::move(deps));
  return {
    [self](const msg::write_object& m) -> caf::result<msg::stored_object_ptr> {
      auto& st = self->state;
      const handling h{*st.cell, "write_object", self->mailbox().size()};
      if (m.operation != msg::object_operation::update_status || m.resource != st.deps.type.name())
        return to_error({ec::unsupported, "objects are kept by the API server: apply them there, with kubectl", m.resource, {}, {}});
      auto promise = self->make_response_promise<msg::stored_object_ptr>();
      begin(self, {m, promise});
      drive_soon(self);
      return promise;
    },
    [self](const msg::continue_transfers&) {
      const handling h{*self->state.cell, "continue_transfers", self->mailbox().size()};
      drive(self);
    },
    [self](const msg::status_retry_due& m) {
      if (m.epoch == self->state.sleep_epoch)
        drive_soon(self);
    },
  };
}

} // namespace veranda
