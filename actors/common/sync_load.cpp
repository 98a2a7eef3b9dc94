#include "actors/common/sync_load.hpp"

namespace veranda {

namespace {

std::int64_t number_of(recent_costs::instant t) { return t.time_since_epoch() / recent_costs::slot; }

void add_to(sync_cost& sum, const sync_cost& cost) {
  sum.syncs += cost.syncs;
  sum.failures += cost.failures;
  sum.busy += cost.busy;
  sum.fetched_bytes += cost.fetched_bytes;
}

} // namespace

void recent_costs::add(instant now, const sync_cost& cost) {
  const auto number = number_of(now);
  auto& at = minutes_[static_cast<std::size_t>(number) % slots];
  if (at.number != number)
    at = {.number = number, .cost = {}};
  add_to(at.cost, cost);
}

sync_cost recent_costs::sum(instant now) const {
  const auto newest = number_of(now);
  sync_cost total;
  for (const auto& m : minutes_)
    if (m.number > newest - static_cast<std::int64_t>(slots) && m.number <= newest)
      add_to(total, m.cost);
  return total;
}

} // namespace veranda
