#pragma once

#include <chrono>
#include <cstdint>

namespace veranda::logic {

/// Exponential backoff between two bounds.
struct backoff_policy {
  std::chrono::milliseconds initial{std::chrono::seconds{5}}; ///< floor of every delay
  std::chrono::milliseconds max{std::chrono::minutes{5}};     ///< ceiling of every delay
};

/// Delay before the next try after `attempt` failures in a row were retried already (0: the first retry).
/// Uniform between `initial` and `initial * 2^(attempt + 1)`, never above `max`: full jitter, so that those who failed together do not come back together.
/// `draw` is a random number in [0, 1); anything outside is clamped. Pure.
[[nodiscard]] std::chrono::milliseconds next_delay(const backoff_policy& policy, std::uint32_t attempt, double draw) noexcept;

/// `base` lengthened by up to a tenth; for waits that somebody else asked for, which must not be shortened. Pure.
[[nodiscard]] std::chrono::milliseconds stretched(std::chrono::milliseconds base, double draw) noexcept;

} // namespace veranda::logic
