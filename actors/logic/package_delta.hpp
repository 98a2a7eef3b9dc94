#pragma once

#include "messages/model/sync.hpp"

namespace veranda::logic {

/// What the cache holds of one revision.
struct cached_entry {
  std::string name;
  sha256_digest digest{};
};

/// Compares what is cached with what was found (names unique in each; a name found twice keeps its first revision and the other becomes a bad item).
/// `added` and `changed` keep the order of `found`, `removed` is sorted. Linear; no I/O. `stats.fetched_bytes` is left to the caller.
[[nodiscard]] package_delta make_delta(std::vector<cached_entry> cached, std::vector<package_revision> found, std::vector<bad_item> bad, sync_basis basis);

} // namespace veranda::logic
