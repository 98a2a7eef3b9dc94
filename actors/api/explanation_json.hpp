#pragma once

#include "messages/local.hpp"

#include <string>

namespace veranda {

/// What `veranda explain` shows: `{"kind": "RepositoryExplanation", ...}`. Pure.
[[nodiscard]] std::string explanation_json(const object_key& key, const msg::repository_state_view& view, wall_time now);

} // namespace veranda
