#include "actors/api/load_json.hpp"

#include <nlohmann/json.hpp>

#include <fstream>

#include <unistd.h>

namespace veranda {

namespace {

using json = nlohmann::ordered_json;

double seconds(std::chrono::nanoseconds d) { return std::chrono::duration<double>(d).count(); }

json row_of(const repository_load& r) {
  json row{{"namespace", r.key.ns},
           {"name", r.key.name},
           {"syncs", r.recent.syncs},
           {"failures", r.recent.failures},
           {"busySeconds", seconds(r.recent.busy)},
           {"fetchedBytes", r.recent.fetched_bytes},
           {"packages", r.packages},
           {"revisions", r.revisions}};
  if (r.ready)
    row["ready"] = *r.ready;
  if (r.last)
    row["lastSeconds"] = seconds(*r.last);
  if (r.late)
    row["lateSeconds"] = seconds(*r.late);
  return row;
}

} // namespace

std::string load_json(const process_load& process, const std::vector<repository_load>& repositories) {
  json out{{"kind", "Load"},
           {"time", format_rfc3339(process.now)},
           {"uptimeSeconds", seconds(std::max(process.now - process.started, wall_time::duration::zero()))},
           {"windowSeconds", std::chrono::seconds{recent_costs::window}.count()},
           {"workers", {{"all", process.workers}, {"busy", process.busy}}},
           {"queued", process.queued},
           {"memoryBytes", process.memory_bytes},
           {"mirrors", {{"count", process.mirrors.count}, {"bytes", process.mirrors.bytes}, {"maxBytes", process.mirrors.max_bytes}, {"removed", process.mirrors.removed}}},
           {"api", {{"requests", process.api.requests}, {"connections", process.api.connections}, {"watches", process.api.watches}}}};
  out["repositories"] = json::array();
  for (const auto& r : repositories)
    out["repositories"].push_back(row_of(r));
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::uint64_t resident_memory() {
  std::ifstream in{"/proc/self/statm"};
  std::uint64_t whole = 0, resident = 0;
  return in >> whole >> resident ? resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

} // namespace veranda
