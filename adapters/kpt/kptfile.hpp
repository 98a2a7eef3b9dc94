#pragma once

#include "messages/model/package_revision.hpp"

#include <string_view>

namespace veranda::kpt {

inline constexpr std::size_t max_kptfile_bytes = 1U << 20U;
inline constexpr std::size_t max_kptfile_depth = 32;
/// Anchors on texts that are remembered; an alias to a list or a mapping is refused.
inline constexpr std::size_t max_kptfile_anchors = 64;
/// What is kept of a Kptfile, each alias counted as the text that it stands for, each value with some bytes besides. It is a part of every revision of the
/// package; Kubernetes takes no object with annotations of more.
inline constexpr std::size_t max_kept_bytes = 256U << 10U;

/// Strict decoding of a Kptfile, as Porch's is: `kpt.dev/v1`, no unknown and no repeated fields, types as in the schema.
/// Only the first document counts. What is wrong is in `problem`, with its line; everything else is empty then.
[[nodiscard]] kptfile_facts decode_kptfile(std::string_view text);

} // namespace veranda::kpt
