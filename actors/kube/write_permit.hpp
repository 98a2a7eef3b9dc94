#pragma once

#include <atomic>
#include <chrono>
#include <ctime>

namespace veranda {

/// Time since the machine began, its sleep included: what a Lease is counted by. A process that was stopped, or slept, knows at once how long.
inline std::chrono::steady_clock::time_point time_since_boot() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return std::chrono::steady_clock::time_point{std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec}};
}

/// Until when this process may write to the cluster, because it leads. Asked right before each write, so that it needs nobody to notice that the time is up.
/// Thread safe, never waits.
class write_permit {
public:
  using time = std::chrono::steady_clock::time_point;

  void grant(time until) noexcept { until_ = until.time_since_epoch().count(); }
  void revoke() noexcept { until_ = 0; }
  [[nodiscard]] bool valid_at(time now) const noexcept { return now.time_since_epoch().count() < until_; }
  [[nodiscard]] bool valid() const noexcept { return valid_at(time_since_boot()); }

private:
  std::atomic<time::rep> until_{0};
};

} // namespace veranda
