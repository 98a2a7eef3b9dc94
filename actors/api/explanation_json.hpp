#pragma once

#include "actors/workers/mirror_shelf.hpp"
#include "messages/local.hpp"

#include <string>

namespace veranda {

/// What `veranda explain` shows: `{"kind": "RepositoryExplanation", ...}`. Pure.
[[nodiscard]] std::string explanation_json(const object_key& key, const msg::repository_state_view& view, const std::optional<mirror_facts>& mirror, wall_time now);

} // namespace veranda
