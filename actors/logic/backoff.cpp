#include "actors/logic/backoff.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

double unit(double draw) noexcept { return draw > 0.0 ? std::min(draw, 1.0) : 0.0; } // NaN gives 0

std::chrono::milliseconds scaled(std::chrono::milliseconds d, double factor) noexcept {
  return std::chrono::milliseconds{static_cast<std::int64_t>(static_cast<double>(d.count()) * factor)};
}

} // namespace

std::chrono::milliseconds next_delay(const backoff_policy& policy, std::uint32_t attempt, double draw) noexcept {
  const auto floor = std::clamp(policy.initial, std::chrono::milliseconds{0}, std::max(policy.max, std::chrono::milliseconds{0}));
  auto ceiling = floor;
  for (std::uint32_t i = 0; i <= attempt && ceiling < policy.max && ceiling.count() > 0; ++i) {
    ceiling = ceiling > policy.max / 2 ? policy.max : ceiling * 2;
  }
  return floor + scaled(ceiling - floor, unit(draw));
}

std::chrono::milliseconds stretched(std::chrono::milliseconds base, double draw) noexcept {
  return base + scaled(base, unit(draw) / 10.0);
}

} // namespace veranda::logic
