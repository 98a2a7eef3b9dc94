#pragma once

#include "adapters/source/repository_source.hpp"
#include "adapters/store/object_store.hpp"

#include <functional>
#include <memory>

namespace veranda::source {

/// The `repository_source` of a daemon without a cluster: the embedded object store. A position that moved without touching a Repository is answered
/// with a bookmark at once, and so is a minute without any event. Blocks on disk. `now` is the steady clock, replaced in tests.
std::unique_ptr<repository_source> open_store_source(
    std::unique_ptr<store::object_store_reader> reader,
    std::function<std::chrono::steady_clock::time_point()> now = [] { return std::chrono::steady_clock::now(); });

} // namespace veranda::source
