#include "actors/kube/event_sender.hpp"

#include "actors/common/log.hpp"
#include "actors/logic/condition_builder.hpp"
#include "adapters/codec/repository_codec.hpp"
#include "adapters/kube/event_requests.hpp"

namespace veranda {

namespace {

constexpr const char* component = "events";

/// Worth another try: nobody said no.
bool may_pass(const failure& why) {
  return class_of(why.code) == error_class::retry || class_of(why.code) == error_class::wait;
}

} // namespace

event_sender::told event_sender::read(const std::string& uid, const std::string& status_json) {
  const auto status = codec::decode_status(R"({"status":)" + status_json + "}");
  told out{uid, {}, {}, {}, {}};
  for (const auto& c : status.conditions)
    if (c.type == logic::condition_types::ready && out.reason.empty()) {
      out.status = c.status;
      out.reason = c.reason;
      out.message = c.message;
    } else if (c.type == logic::condition_types::deletion_held && c.status == "True") {
      out.held = c.message;
    }
  return out;
}

void event_sender::note(const object_key& key, const std::string& uid, const std::string& status_json, const std::string& there) {
  auto now = read(uid, status_json);
  if (now.reason.empty())
    return;
  if (last_.size() >= policy_.max_remembered)
    last_.clear();
  auto& last = last_[key];
  if (last.uid != uid)
    last = read(uid, R"({"conditions":[)" + there + "]}");
  const auto before = std::exchange(last, now);
  if (before.status != now.status || before.reason != now.reason || (now.status != "True" && before.message != now.message))
    say({key, uid, now.reason == "Error" || now.reason == "HostUnavailable", now.reason, now.message});
  if (before.held == now.held)
    return;
  const bool held = !now.held.empty();
  say({key, uid, held, held ? "DeletionHeld" : "DeletionHeldEnded", held ? now.held : "no removals of package revisions are held any more"});
}

void event_sender::say(const logic::happening& what) {
  auto record = aggregator_.take(what, env_.wall_now());
  if (!record)
    return;
  if (queue_.size() >= policy_.max_queued) {
    queue_.pop_front();
    ++dropped_;
  }
  queue_.push_back({std::move(*record), 0});
}

void event_sender::step(time now) {
  if (std::exchange(failed_, false))
    paused_until_ = now + policy_.pause;
  if (paused_until_ && *paused_until_ > now)
    return;
  paused_until_.reset();
  while (!queue_.empty() && in_flight_ < policy_.max_in_flight) {
    auto one = std::move(queue_.front());
    queue_.pop_front();
    send(std::move(one));
  }
}

std::optional<event_sender::time> event_sender::due() const { return queue_.empty() ? std::nullopt : paused_until_; }

void event_sender::send(entry one) {
  auto request = one.record.count > 1 && !one.anew ? kube::repeat_event_request(one.record) : kube::create_event_request(one.record);
  ++in_flight_;
  ++one.tries;
  client_->start(request, [self = std::weak_ptr{self_}, one, request](result<kube::api_answer> answer) {
    if (const auto open = self.lock())
      (*open)->ended(one, answer, request);
  });
}

void event_sender::ended(entry one, const result<kube::api_answer>& answer, const kube::api_request& request) {
  --in_flight_;
  if (answer && answer->ok()) {
    said_.clear();
    return;
  }
  if (answer && answer->status == 404 && one.record.count > 1 && !one.anew) { // it ended, or was never written
    one.anew = true;
    queue_.push_front(std::move(one));
    return;
  }
  const auto why = answer ? kube::with_right(kube::explain(*answer, request), answer->status, request.method, kube::events().name(), one.record.what.key.ns) : answer.error();
  if (why.code == ec::cancelled || (why.code == ec::not_found && answer)) // the end, or a namespace that went
    return;
  if (const auto text = describe(why); text != said_) {
    log::warn(component, "an event could not be written", {{"err", text}});
    said_ = text;
  }
  if (may_pass(why) && one.tries < policy_.max_tries) {
    failed_ = true;
    queue_.push_front(std::move(one));
  } else {
    ++dropped_;
  }
}

} // namespace veranda
