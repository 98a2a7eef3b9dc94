#pragma once

#include "adapters/kube/http_exchange.hpp"
#include "adapters/kube/line_splitter.hpp"
#include "adapters/kube/object_decoder.hpp"

#include <deque>

namespace veranda::kube {

/// The transfer of one watch: bytes become lines, lines become events, and a reader that falls behind pauses it.
class watch_exchange final : public http_exchange {
public:
  watch_exchange(api_request asked, const resource_type& type, std::chrono::milliseconds lifetime, const client_limits& limits);

  // For the client.
  [[nodiscard]] const api_request& request() const noexcept { return request_; }
  void begin(const exchange_setup& setup, const api_credentials& credentials, std::uint64_t version, steady_time now);
  /// libcurl has finished with it.
  void end(CURLcode code, const exchange_setup& setup);
  void end(watch_state state) { state_ = state; }
  void end(failure why);
  /// Whether it lived too long, or was silent for too long; ends it then.
  [[nodiscard]] bool overdue(steady_time now);
  /// Lets the transfer go on once the reader has caught up.
  void resume();
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] bool refused_credentials() const noexcept { return refused_; }
  /// True once after something new came.
  [[nodiscard]] bool take_news() { return std::exchange(news_, false); }
  [[nodiscard]] std::uint64_t pauses() const noexcept { return pauses_; }

  // For the reader.
  std::optional<api_event> next();
  [[nodiscard]] watch_state state() const noexcept { return state_; }
  [[nodiscard]] const std::optional<failure>& why() const noexcept { return why_; }
  [[nodiscard]] std::size_t unread() const noexcept { return unread_.size(); }
  [[nodiscard]] bool running() const noexcept { return state_ == watch_state::connecting || state_ == watch_state::open; }

private:
  std::optional<bool> on_body(std::string_view bytes) override;
  void on_head() override;
  [[nodiscard]] bool streaming() const { return answer().status == 200 && !answer().content_type.starts_with("text/"); }
  [[nodiscard]] bool behind(std::size_t part) const { return unread_.size() >= limits_.max_unread_events / part || unread_bytes_ >= limits_.max_unread_bytes / part; }
  void take_line(std::string line);

  api_request request_;
  client_limits limits_;
  std::chrono::milliseconds lifetime_;
  object_decoder decoder_;
  line_splitter lines_;
  std::deque<api_event> unread_;
  std::size_t unread_bytes_ = 0;
  watch_state state_ = watch_state::connecting;
  std::optional<failure> why_;
  std::optional<failure> broken_; ///< of a line
  std::uint64_t version_ = 0;
  bool refused_ = false;
  bool paused_ = false;
  bool news_ = false;
  std::uint64_t pauses_ = 0;
  std::optional<steady_time> deadline_;
  steady_time idle_since_{};
};

} // namespace veranda::kube
