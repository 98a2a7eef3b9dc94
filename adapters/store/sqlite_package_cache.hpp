#pragma once

#include "adapters/store/package_cache.hpp"

#include <filesystem>

namespace veranda::store {

using wall_clock = std::function<wall_time()>;

/// How many entries the change feed keeps.
inline constexpr std::int64_t feed_entries_kept = 100'000;

/// Opens the embedded package cache, creating or migrating the file. `max_resource_bytes`: what syncs keep of a file now, so that a claim can tell
/// whether more could be kept than is (0: it does not). Blocks on disk. One writer per file and process; the data directory's lock
/// keeps other processes out. Failures: `unsupported` (newer schema, another program's file; the file is untouched), `corrupt_cache` (damaged: see
/// `move_aside`), `unavailable`.
[[nodiscard]] result<std::unique_ptr<package_cache>> open_package_cache(const std::filesystem::path& file, wall_clock now,
                                                                               std::int64_t feed_kept = feed_entries_kept, std::uint64_t max_resource_bytes = 0);

/// A read-only connection of its own to a file that `open_package_cache` has opened before; also from another process.
[[nodiscard]] result<std::unique_ptr<package_cache_reader>> open_package_cache_reader(const std::filesystem::path& file);

/// Renames a damaged store file and its log to `<file>.damaged-<UTC time>[-n]`, so that a new one can take its place; answers the new name.
/// Nobody may have it open. Readers opened on the old file must be opened again.
[[nodiscard]] result<std::filesystem::path> move_aside(const std::filesystem::path& file, wall_time now);

} // namespace veranda::store
