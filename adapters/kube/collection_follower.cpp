#include "adapters/kube/collection_follower.hpp"

namespace veranda::kube {

using logic::list_wanted;
using logic::wait_wanted;
using logic::watch_wanted;

collection_follower::collection_follower(api_client& client, const resource_type& type, api_scope scope, const logic::reflector_policy& policy, std::uint64_t seed)
    : client_(client), type_(type), scope_(std::move(scope)), reflector_(policy), decoder_(type.kind, type.api_version(), {.identity_only = type.metadata_only}), rng_(seed) {}

collection_follower::~collection_follower() { abandon(); }

void collection_follower::abandon() {
  if (listing_) client_.cancel(call_);
  listing_.reset();
  watch_.reset();
  due_.reset();
}

void collection_follower::restart() {
  abandon();
  reflector_.restart();
}

void collection_follower::step(time now, std::size_t max_events) {
  if (reflector_.on_tick(now)) abandon();
  if (listing_ && listing_->answer) take_answer(now);
  if (watch_) take_watch(now, max_events);
  if (due_ && *due_ <= now) {
    due_.reset();
    reflector_.on_due(draw());
  }
  act(now);
}

void collection_follower::take_answer(time now) {
  const auto box = std::move(listing_);
  auto& got = *box->answer;
  auto body = got ? body_of(*std::move(got), asked_) : result<std::string>{std::move(got).error()};
  auto page = body ? decoder_.list(*std::move(body)) : result<api_list_page>{std::move(body).error()};
  if (page) return reflector_.on_page(*std::move(page), now, draw());
  auto why = std::move(page).error();
  why.object = asked_.object;
  reflector_.on_list_failed(why, now, draw());
}

void collection_follower::take_watch(time now, std::size_t max_events) {
  if (watch_->state() == watch_state::open) reflector_.on_watch_begun(now);
  for (auto told = reflector_.untold(); told < max_events; told = reflector_.untold()) {
    auto event = watch_->next();
    if (!event) break;
    reflector_.on_event(*std::move(event), now, draw());
    if (!std::holds_alternative<watch_wanted>(reflector_.next())) return watch_.reset(); // an error: what comes after it says nothing
  }
  if (watch_->unread() > 0) return;
  switch (watch_->state()) {
    case watch_state::connecting:
    case watch_state::open: return;
    case watch_state::closed: reflector_.on_watch_ended(logic::watch_end::closed, now, draw()); break;
    case watch_state::cut: reflector_.on_watch_ended(logic::watch_end::cut, now, draw()); break;
    case watch_state::idle: reflector_.on_watch_ended(logic::watch_end::idle, now, draw()); break;
    case watch_state::failed: reflector_.on_watch_failed(*watch_->why(), now, draw()); break;
  }
  watch_.reset();
}

void collection_follower::act(time now) {
  const auto& wanted = reflector_.next();
  if (const auto* list = std::get_if<list_wanted>(&wanted); list != nullptr && !listing_) {
    asked_ = list_request(type_, scope_, {list->resource_version, list->continue_token, list->limit});
    listing_ = std::make_shared<mailbox>();
    call_ = client_.start(asked_, [box = std::weak_ptr{listing_}](result<api_answer> got) {
      if (const auto open = box.lock()) open->answer = std::move(got);
    });
  } else if (const auto* watch = std::get_if<watch_wanted>(&wanted); watch != nullptr && !watch_) {
    watch_ = client_.watch(watch_request(type_, scope_, watch->resource_version, watch->lifetime), type_, watch->lifetime);
  } else if (const auto* wait = std::get_if<wait_wanted>(&wanted); wait != nullptr && !due_) {
    due_ = now + wait->delay;
  }
}

} // namespace veranda::kube
