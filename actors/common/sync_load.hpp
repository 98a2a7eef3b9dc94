#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace veranda {

/// What one repository cost in a stretch of time.
struct sync_cost {
  std::uint32_t syncs = 0;    ///< that ended, health checks that found nothing excepted
  std::uint32_t failures = 0; ///< of `syncs`
  std::chrono::milliseconds busy{0}; ///< of all, health checks included: from start to end, with waits
  std::uint64_t fetched_bytes = 0;
  bool operator==(const sync_cost&) const = default;
};

/// The costs of the last minutes, in slots of a minute. Value type of a fixed size. Not thread safe.
class recent_costs {
public:
  using instant = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::minutes slot{1};
  static constexpr std::size_t slots = 10; ///< the newest of them still fills
  static constexpr std::chrono::minutes window{slots};

  void add(instant now, const sync_cost& cost);
  /// Of the last nine to ten minutes.
  [[nodiscard]] sync_cost sum(instant now) const;

private:
  struct minute {
    std::int64_t number = -1; ///< since the clock's beginning
    sync_cost cost;
  };
  std::array<minute, slots> minutes_{};
};

} // namespace veranda
