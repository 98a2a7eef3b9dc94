#pragma once

#include "adapters/git/git_remote.hpp"

#include <chrono>

namespace veranda::git {

/// Says when a transfer has stalled: nothing at all for `low_speed_time`, or, once it is well under way, less than the low speed over it. (Before that a
/// server may be counting objects, and sends no more than a sign of life now and then.)
class stall_watch {
public:
  explicit stall_watch(const transport_limits& limits)
      : limits_(limits), window_start_(std::chrono::steady_clock::now()), started_(window_start_) {}
  void received(std::uint64_t bytes) noexcept {
    in_window_ += bytes;
    total_ += bytes;
  }
  [[nodiscard]] bool stalled() noexcept {
    const auto now = std::chrono::steady_clock::now();
    if (now - started_ > limits_.total_timeout) return true;
    if (limits_.low_speed_time.count() <= 0 || now - window_start_ < limits_.low_speed_time) return false;
    const auto least = total_ >= well_under_way_bytes ? limits_.low_speed_bytes_per_second * static_cast<std::uint64_t>(limits_.low_speed_time.count()) : 1U;
    const bool too_slow = in_window_ < least;
    window_start_ = now;
    in_window_ = 0;
    return too_slow;
  }

private:
  static constexpr std::uint64_t well_under_way_bytes = 64U << 10U;
  const transport_limits& limits_;
  std::chrono::steady_clock::time_point window_start_;
  std::chrono::steady_clock::time_point started_;
  std::uint64_t in_window_ = 0;
  std::uint64_t total_ = 0;
};

} // namespace veranda::git
