#include "actors/logic/mirror_budget.hpp"

#include <algorithm>
#include <string_view>
#include <tuple>

namespace veranda::logic {

namespace {

constexpr std::uint64_t spare_bytes = 1U << 20U;

} // namespace

std::vector<mirror_use> removal_order(std::vector<mirror_use> mirrors, std::uint64_t max_bytes) {
  const auto by_use = [](const mirror_use& m) { return std::tuple{m.last_used, std::string_view{m.name}}; };
  const auto fits = [max_bytes](const mirror_use& m) { return m.bytes <= max_bytes; };
  std::sort(mirrors.begin(), mirrors.end(), [&](const mirror_use& a, const mirror_use& b) { return std::tuple{fits(a), by_use(a)} < std::tuple{fits(b), by_use(b)}; });
  const auto last = std::max_element(mirrors.begin(), mirrors.end(), [&](const mirror_use& a, const mirror_use& b) { return by_use(a) < by_use(b); });
  if (last != mirrors.end() && fits(*last)) mirrors.erase(last);
  return mirrors;
}

std::uint64_t most_of_one(std::uint64_t max_bytes) noexcept { return max_bytes / 2; }

bool outgrown(std::uint64_t bytes, std::uint64_t whole_bytes) noexcept {
  return whole_bytes != 0 && bytes > spare_bytes && bytes - spare_bytes > whole_bytes && bytes - spare_bytes - whole_bytes > whole_bytes;
}

} // namespace veranda::logic
