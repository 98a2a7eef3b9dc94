#pragma once

#include "messages/model/failure.hpp"
#include "tools/veranda/output.hpp"

namespace veranda::cli {

/// One object of a manifest.
struct manifest {
  std::string source; ///< `FILE: document N`
  json object;
};

/// Reads YAML and JSON documents of a file, of standard input (`-`) or of every .yaml, .yml and .json file of a directory; `List` kinds are unrolled. Bounded.
[[nodiscard]] result<std::vector<manifest>> read_manifests(const std::vector<std::string>& files);

/// The merge patch that brings `live` to `wanted`, leaving alone what `last` (applied before) did not name. Empty object: nothing to do.
[[nodiscard]] json three_way_patch(const json& last, const json& wanted, const json& live);

} // namespace veranda::cli
