#pragma once

#include "adapters/kube/api_answer.hpp"

#include <algorithm>
#include <chrono>

namespace veranda::kube {

/// How fast requests may begin: `burst` at once, then `per_second`. Pure.
class token_bucket {
public:
  using time = std::chrono::steady_clock::time_point;
  token_bucket(double per_second, double burst) : rate_(std::max(0.001, per_second)), burst_(std::max(1.0, burst)), tokens_(burst_) {}
  /// Takes one if there is one.
  [[nodiscard]] bool take(time now) {
    refill(now);
    if (tokens_ < 1.0) return false;
    tokens_ -= 1.0;
    return true;
  }
  /// Until there is one, rounded up.
  [[nodiscard]] std::chrono::milliseconds wait(time now) {
    refill(now);
    if (tokens_ >= 1.0) return std::chrono::milliseconds{0};
    return std::chrono::milliseconds{static_cast<std::int64_t>((1.0 - tokens_) / rate_ * 1000.0) + 1};
  }

private:
  void refill(time now) {
    if (now > last_) tokens_ = std::min(burst_, tokens_ + std::chrono::duration<double>(now - last_).count() * rate_);
    last_ = std::max(last_, now);
  }
  double rate_;
  double burst_;
  double tokens_;
  time last_{};
};

/// How long to wait before the same request is sent again; nothing: the answer stands. Only what had no effect is repeated: answers with Retry-After (the server
/// says so), and reads whose connection broke. `tries` counts those that were made. Pure.
[[nodiscard]] std::optional<std::chrono::milliseconds> repeat_after(const api_request& request, const result<api_answer>& answer, unsigned tries);

} // namespace veranda::kube
