#pragma once

#include "actors/common/cells.hpp"
#include "actors/common/telemetry.hpp"
#include "messages/model/time.hpp"

#include <functional>
#include <memory>

namespace veranda {

/// What every actor is given: wall time, the seed of its randomness, and where it reports.
struct runtime_env {
  std::function<wall_time()> wall_now;
  std::uint64_t seed = 0;
  std::shared_ptr<cell_registry> cells;
  std::shared_ptr<veranda::telemetry> telemetry;
};

} // namespace veranda
