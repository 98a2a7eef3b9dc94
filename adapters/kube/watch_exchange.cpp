#include "adapters/kube/watch_exchange.hpp"

#include <algorithm>

namespace veranda::kube {

namespace {

constexpr std::size_t max_error_bytes = 256U << 10U;

} // namespace

watch_exchange::watch_exchange(api_request asked, const resource_type& type, std::chrono::milliseconds lifetime, const client_limits& limits)
    : request_(std::move(asked)), limits_(limits), lifetime_(lifetime), decoder_(type.kind, type.api_version(), {.max_object_bytes = limits.max_line_bytes, .identity_only = type.metadata_only}),
      lines_(limits.max_line_bytes) {
  limits_.max_unread_events = std::max<std::size_t>(2, limits_.max_unread_events);
}

void watch_exchange::begin(const exchange_setup& setup, const api_credentials& credentials, std::uint64_t version, steady_time now) {
  version_ = version;
  deadline_ = now + limits_.connect_timeout + lifetime_ + limits_.watch_slack;
  idle_since_ = now;
  prepare(setup, credentials, request_, true, now);
}

void watch_exchange::on_head() {
  if (!streaming() || state_ != watch_state::connecting) return;
  state_ = watch_state::open;
  news_ = true;
}

std::optional<bool> watch_exchange::on_body(std::string_view bytes) {
  if (!streaming()) return keep(bytes, max_error_bytes);
  if (behind(1)) {
    paused_ = true;
    ++pauses_;
    return std::nullopt;
  }
  const bool whole = lines_.feed(bytes, [this](std::string line) { take_line(std::move(line)); });
  if (!whole && !broken_) broken_ = failure{ec::too_large, "a line of the watch is longer than the " + std::to_string(limits_.max_line_bytes) + " bytes allowed", request_.object, {}, {}};
  if (broken_) fail(*broken_);
  return !broken_;
}

void watch_exchange::take_line(std::string line) {
  if (broken_) return;
  auto event = decoder_.event(std::move(line));
  if (!event) broken_ = std::move(event).error();
  else if (*event) {
    if ((*event)->why) (*event)->why->object = request_.object;
    unread_bytes_ += (*event)->object.json.size();
    unread_.push_back(**std::move(event));
    news_ = true;
  }
}

void watch_exchange::end(failure why) {
  state_ = watch_state::failed;
  why_ = std::move(why);
  news_ = true;
}

void watch_exchange::end(CURLcode code, const exchange_setup& setup) {
  const bool was_open = state_ == watch_state::open;
  auto finished = finish(code, setup);
  news_ = true;
  if (!finished) {
    // A cut stream is no failure: what came before the cut is whole lines.
    if (was_open && !broken_) state_ = watch_state::cut;
    else end(std::move(finished).error());
    return;
  }
  if (was_open) {
    state_ = watch_state::closed;
    return;
  }
  refused_ = finished->status == 401;
  auto why = body_of(*std::move(finished), request_);
  end(why ? failure{ec::unavailable, "the watch was answered with something that is no stream", request_.object, {}, {}} : std::move(why).error());
}

bool watch_exchange::overdue(steady_time now) {
  if (paused_) idle_since_ = now; // it is the reader who is silent
  const bool silent = now - std::max(last_byte(), idle_since_) >= limits_.watch_idle_timeout;
  if (!silent && now < *deadline_) return false;
  if (state_ == watch_state::connecting) end({ec::timed_out, "the watch was not answered in time", request_.object, {}, {}});
  else state_ = silent ? watch_state::idle : watch_state::closed;
  news_ = true;
  return true;
}

void watch_exchange::resume() {
  if (!paused_ || behind(2)) return;
  paused_ = false;
  curl_easy_pause(handle(), CURLPAUSE_CONT); // may hand out what was held back at once
}

std::optional<api_event> watch_exchange::next() {
  if (unread_.empty()) return std::nullopt;
  auto event = std::move(unread_.front());
  unread_.pop_front();
  unread_bytes_ -= event.object.json.size();
  return event;
}

} // namespace veranda::kube
