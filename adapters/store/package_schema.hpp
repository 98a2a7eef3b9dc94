#pragma once

#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// The schema of the package cache's file; see `package_schema.cpp` for what the tables mean.
extern const sqlite::schema package_schema;

/// How many entries the change feed keeps.
inline constexpr std::int64_t feed_entries_kept = 100'000;

} // namespace veranda::store
