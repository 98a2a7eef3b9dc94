#pragma once

#include "adapters/store/object_store.hpp"

#include <filesystem>
#include <functional>

namespace veranda::store {

/// How many events of the object store are kept for watches.
inline constexpr std::int64_t object_events_kept = 10'000;

/// Opens the embedded object store for writing, creating or migrating the file. Blocks on disk. One writer per file. Failures: `unsupported`
/// (newer schema, another program's file; the file is untouched), `corrupt_cache` (damaged), `unavailable`.
[[nodiscard]] result<std::unique_ptr<object_store>> open_object_store(const std::filesystem::path& file, std::function<wall_time()> now,
                                                                             std::int64_t events_kept = object_events_kept);

/// A read-only connection of its own to a file that `open_object_store` has opened before. Within one process, `wait_beyond` wakes at the
/// writer's commit; readers in another process see the change when the wait ends.
[[nodiscard]] result<std::unique_ptr<object_store_reader>> open_object_store_reader(const std::filesystem::path& file);

} // namespace veranda::store
