#pragma once

#include "actors/common/cells.hpp"

namespace veranda {

/// What every actor does now, as JSON: `{"kind":"ActorDump","time":...,"actors":[...]}`, sorted by kind and key. Reads cells only, so it answers
/// when actors are stuck. A `name` that is not empty keeps the actors whose key is `name` or `<namespace>/name`. Any thread.
[[nodiscard]] std::string dump_json(const cell_registry& cells, wall_time now, std::string_view name = {});

} // namespace veranda
