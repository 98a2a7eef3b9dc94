#pragma once

#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// The schema of the package cache's file; see `package_schema.cpp` for what the tables mean.
extern const sqlite::schema package_schema;

} // namespace veranda::store
