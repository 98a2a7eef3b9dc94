#pragma once

#include "actors/common/metric_telemetry.hpp"
#include "actors/workers/mirror_shelf.hpp"
#include "adapters/api/api_server.hpp"

namespace veranda {

/// What the process does now.
struct process_load {
  wall_time now{};
  wall_time started{};
  std::size_t workers = 0; ///< there are
  std::size_t busy = 0;    ///< of them
  std::size_t queued = 0;  ///< jobs that wait for one
  std::uint64_t memory_bytes = 0; ///< resident
  mirror_totals mirrors;
  api::api_load api;
};

/// What `veranda top` shows: `{"kind": "Load", ...}`. Pure.
[[nodiscard]] std::string load_json(const process_load& process, const std::vector<repository_load>& repositories);

/// Resident memory of this process; 0 when it cannot be read.
[[nodiscard]] std::uint64_t resident_memory();

} // namespace veranda
