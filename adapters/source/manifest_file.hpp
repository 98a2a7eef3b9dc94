#pragma once

#include "adapters/source/manifest_directory.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace veranda::source {

inline constexpr std::string_view repositories_resource = "repositories.config.porch.kpt.dev";
inline constexpr std::string_view secrets_resource = "secrets";
inline constexpr std::string_view last_applied_annotation = "veranda.dev/last-applied";
inline constexpr std::string_view secret_keys_annotation = "veranda.dev/secret-keys";
inline constexpr std::string_view secret_digest_annotation = "veranda.dev/secret-digest";

/// What one file says.
struct manifest_file {
  std::vector<manifest_object> objects; ///< in the order of the file; may hold the same object twice
  std::vector<manifest_problem> problems;
  bool broken = false; ///< something of it could not be told to be any object: what is missing was not removed
};

/// Reads the text of one file: Repositories and Secrets, `List`s unrolled, everything else reported. What only a server may set (status, uid,
/// resourceVersion, ...) is left out. Pure.
[[nodiscard]] manifest_file read_manifest(std::string_view text, const std::string& file, const manifest_limits& limits, const std::string& secret_key);

/// The bytes of the first Secret of that name in the text; nothing when there is none. `auth_rejected` when it is not valid. Pure.
[[nodiscard]] std::optional<result<secret_bytes>> find_secret(std::string_view text, const std::string& file, const object_key& key,
                                                              const manifest_limits& limits);

} // namespace veranda::source
