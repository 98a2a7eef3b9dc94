#pragma once

#include "messages/model/failure.hpp"

#include <chrono>
#include <cstddef>

namespace veranda {

/// How far the `PackageRev` objects of the API server are from what is cached.
struct package_rev_counts {
  std::size_t desired = 0; ///< by the cache
  std::size_t present = 0; ///< in the API server
  std::size_t pending = 0; ///< to be made, changed or removed
  std::size_t failing = 0; ///< of those, whose last request failed
  std::chrono::nanoseconds lag{0}; ///< for how long something has been pending without a pause
  bool operator==(const package_rev_counts&) const = default;
};

/// What the keeper of PackageRev objects counts, as `telemetry`.
class package_rev_telemetry {
public:
  virtual ~package_rev_telemetry() = default;
  virtual void package_revs(const package_rev_counts& counts) = 0;
  /// `operation`: create, patch, release, remove or read; `why` null: it went well.
  virtual void package_rev_requested(const char* operation, const failure* why) = 0;
};

} // namespace veranda
