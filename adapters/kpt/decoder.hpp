#pragma once

#include "actors/logic/discovery/object_reader.hpp"

#include <memory>

namespace veranda::kpt {

/// Decodes Kptfiles (one pass over libyaml's events, strict as the schema of `kpt.dev/v1`) and `kpt:` lines (simdjson).
/// Keeps buffers between calls: one thread at a time.
[[nodiscard]] std::unique_ptr<logic::package_decoder> make_decoder();

} // namespace veranda::kpt
