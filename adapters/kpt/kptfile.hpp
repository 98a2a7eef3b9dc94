#pragma once

#include "messages/model/package_revision.hpp"

#include <string_view>

namespace veranda::kpt {

inline constexpr std::size_t max_kptfile_bytes = 1U << 20U;
inline constexpr std::size_t max_kptfile_depth = 32;
/// Anchors on texts that are remembered; an alias to a list or a mapping is refused.
inline constexpr std::size_t max_kptfile_anchors = 64;

/// Strict decoding of a Kptfile, as Porch's is: `kpt.dev/v1`, no unknown and no repeated fields, types as in the schema.
/// Only the first document counts. What is wrong is in `problem`, with its line; everything else is empty then.
[[nodiscard]] kptfile_facts decode_kptfile(std::string_view text);

} // namespace veranda::kpt
