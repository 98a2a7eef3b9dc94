#include "actors/kube/finalizer_keeper.hpp"

#include "actors/common/guard.hpp"
#include "actors/kube/driving.hpp"
#include "adapters/kube/repository_events.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

using self_ptr = kube_finalizers_actor::stateful_pointer<kube_finalizers_state>;
using outcome = result<api_object>;

constexpr std::size_t most_said = 1'000; ///< namespaces

/// One change on its way.
struct change {
  object_key key;
  std::string uid;
  bool hold = false; ///< else release
  caf::typed_response_promise<bool> promise;
  unsigned tries = 0;
};

std::string about(const kube_finalizers_state& st, const object_key& key) { return st.deps.type.name() + " " + to_string(key); }

/// Says why finalizers of a namespace cannot be changed, once for each reason.
void say(kube_finalizers_state& st, const object_key& key, const failure& why) {
  if (why.code == ec::not_found || class_of(why.code) == error_class::stop)
    return;
  st.cell->set_last_error(describe(why));
  if (st.said.size() >= most_said)
    st.said.clear();
  const auto code = std::string{to_string(why.code)};
  if (std::exchange(st.said[key.ns], code) != code)
    log::warn(kube_finalizers_state::name, "the finalizer of a Repository cannot be changed; trying again, also for others of its namespace",
              {{"namespace", key.ns}, {"finalizer", st.deps.finalizer}, {"err", describe(why)}});
}

/// One change of an object at a time.
void begin(self_ptr self, const std::string& uid, std::function<void()> start) {
  const auto [at, idle] = self->state.busy.try_emplace(uid);
  if (idle)
    start();
  else
    at->second.push_back(std::move(start));
}

void begin_next(self_ptr self, const std::string& uid) {
  auto& busy = self->state.busy;
  const auto at = busy.find(uid);
  if (at->second.empty()) {
    busy.erase(at);
    return;
  }
  const auto start = std::move(at->second.front());
  at->second.pop_front();
  start();
}

/// `end`: whether something was written.
void finish(self_ptr self, change& c, const result<bool>& end) {
  auto& st = self->state;
  --st.changing;
  if (end) {
    st.changed += *end ? 1 : 0;
    st.said.erase(c.key.ns);
    c.promise.deliver(*end);
  } else {
    say(st, c.key, end.error());
    c.promise.deliver(to_error(end.error()));
  }
  begin_next(self, c.uid);
}

/// It is not there any more, or another has its name.
void finish_gone(self_ptr self, change& c) {
  finish(self, c, c.hold ? result<bool>{failure{ec::not_found, "the object is gone", about(self->state, c.key), {}, {}}} : result<bool>{false});
}

/// Starts a call; `then` hears the object that was answered, or why there is none. Nobody hears anything when the actor has ended.
template <class Then>
void ask(self_ptr self, const kube::api_request& request, const std::string& ns, Then then) {
  self->state.deps.client->start(request, [self, request, ns, alive = std::weak_ptr{self->state.alive}, then = std::move(then)](result<kube::api_answer> answer) mutable {
    if (alive.expired())
      return;
    auto& st = self->state;
    const int status = answer ? answer->status : 0;
    auto body = answer ? kube::body_of(std::move(*answer), request) : result<std::string>{answer.error()};
    auto object = body ? st.decoder->object(std::move(*body)) : outcome{kube::with_right(body.error(), status, request.method, st.deps.type.name(), ns)};
    if (object && object->key.name.empty())
      object = failure{ec::unavailable, "the API server answered with something else than the object", request.object, {}, {}};
    if (object && st.deps.known)
      st.deps.known->answered(*object);
    then(std::move(object));
  });
}

void read(self_ptr self, change c);

void patch(self_ptr self, change c, const object_meta& there) {
  auto& st = self->state;
  auto finalizers = there.finalizers;
  const bool has = std::erase(finalizers, st.deps.finalizer) > 0;
  if (has == c.hold) {
    finish(self, c, false);
    return;
  }
  if (c.hold)
    finalizers.push_back(st.deps.finalizer);
  ++c.tries;
  const auto request = kube::finalizers_patch_request(st.deps.type, c.key, {c.uid, there.resource_version}, finalizers);
  ask(self, request, c.key.ns, [self, c](outcome object) mutable {
    if (object)
      finish(self, c, true);
    else if (object.error().code == ec::not_found)
      finish_gone(self, c);
    else if (object.error().code != ec::conflict)
      finish(self, c, object.error());
    else if (c.tries >= self->state.deps.max_tries)
      finish(self, c, failure{ec::throttled, "others keep writing the object", object.error().object, "metadata.finalizers", {}});
    else
      read(self, std::move(c));
  });
}

void read(self_ptr self, change c) {
  const auto request = kube::get_request(self->state.deps.type, c.key);
  ask(self, request, c.key.ns, [self, c](outcome object) mutable {
    if (!object) {
      if (object.error().code == ec::not_found)
        finish_gone(self, c);
      else
        finish(self, c, object.error());
      return;
    }
    if (object->uid != c.uid) {
      finish_gone(self, c);
      return;
    }
    if (object->json.empty()) { // the finalizers of others cannot be seen
      finish(self, c, object->problem.value_or(failure{ec::too_large, "the object is too large", about(self->state, c.key), {}, {}}));
      return;
    }
    const auto meta = kube::to_repository(*object).meta;
    if (c.hold && meta.deleted) // it takes no more finalizers
      finish_gone(self, c);
    else
      patch(self, std::move(c), meta);
  });
}

void show(kube_finalizers_state& st) {
  st.cell->set_in_flight(static_cast<std::uint32_t>(st.changing));
  st.cell->set_detail("changed", std::to_string(st.changed));
  st.cell->set_detail("problem", st.said.empty() ? std::string{} : st.said.begin()->first + ": " + st.said.begin()->second);
}

} // namespace

kube_finalizers_state::~kube_finalizers_state() { drop_calls(*this); }

kube_finalizers_actor::behavior_type kube_finalizers(self_ptr self, kube_finalizers_deps deps) {
  install_default_handlers(self, kube_finalizers_state::name);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(kube_finalizers_state::name, "");
  st.decoder = std::make_unique<kube::object_decoder>(st.deps.type.kind, st.deps.type.api_version());
  show(st);
  return {
    [self](const msg::hold_object& m) -> caf::result<bool> {
      const handling h{*self->state.cell, "hold_object", self->mailbox().size()};
      auto promise = self->make_response_promise<bool>();
      ++self->state.changing;
      begin(self, m.seen.uid, [self, seen = m.seen, promise] {
        change c{seen.key, seen.uid, true, promise};
        if (seen.resource_version.empty() || seen.deleted)
          read(self, std::move(c));
        else
          patch(self, std::move(c), seen);
      });
      drive_soon(self);
      return promise;
    },
    [self](const msg::release_object& m) -> caf::result<bool> {
      const handling h{*self->state.cell, "release_object", self->mailbox().size()};
      auto promise = self->make_response_promise<bool>();
      ++self->state.changing;
      begin(self, m.uid, [self, key = m.key, uid = m.uid, promise] { read(self, {key, uid, false, promise}); });
      drive_soon(self);
      return promise;
    },
    [self](const msg::continue_transfers&) {
      const handling h{*self->state.cell, "continue_transfers", self->mailbox().size()};
      drive(self, show);
    },
  };
}

} // namespace veranda
