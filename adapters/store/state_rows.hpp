#pragma once

#include "adapters/store/package_cache.hpp"
#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// A repository's row: its durable state, and what only the cache needs.
struct repository_row {
  std::int64_t id = 0;
  std::int64_t epoch = 0;
  oid branch_commit;
  durable_state state;
};

/// How many runs are kept per repository.
inline constexpr std::size_t runs_kept = 20;

[[nodiscard]] std::optional<repository_row> read_repository(sqlite::connection& db, const std::string& uid);
/// All of them, ordered by namespace and name.
[[nodiscard]] std::vector<durable_state> read_states(sqlite::connection& db);

/// Compact JSON of some bad items, and its inverse, which throws `corrupt_cache` when the text is none.
[[nodiscard]] std::string encode_bad(const std::vector<bad_item>& bad);
[[nodiscard]] std::vector<bad_item> decode_bad(std::string_view text);

/// The same for a deletion hold.
[[nodiscard]] std::string encode_hold(const deletion_hold& hold);
[[nodiscard]] deletion_hold decode_hold(std::string_view text);

/// Brings the row in step with `next`; answers whether anything had to be written. `next.revisions` and `next.packages` are written as they are;
/// key, uid and fence are not written.
bool write_state(sqlite::connection& db, const repository_row& stored, const durable_state& next, const oid& branch_commit);

} // namespace veranda::store
