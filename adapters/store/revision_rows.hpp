#pragma once

#include "adapters/store/package_cache.hpp"
#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// Nanoseconds since 1970, the form of all times in the store files.
[[nodiscard]] std::int64_t to_column(wall_time t) noexcept;
[[nodiscard]] std::optional<std::int64_t> to_column(const std::optional<wall_time>& t) noexcept;
[[nodiscard]] wall_time to_wall_time(std::int64_t column) noexcept;

/// Bytes of a fixed-size array, as SQLite binds them.
template <std::size_t N>
[[nodiscard]] std::string_view bytes_of(const std::array<std::uint8_t, N>& a) noexcept {
  return {reinterpret_cast<const char*>(a.data()), N};
}

/// `SELECT` of everything `read_revision` needs, up to and without `WHERE`. The row is `r`, its repository (if current) `p`.
extern const std::string select_revision;
[[nodiscard]] feed_entry read_revision(const sqlite::query& q);
/// Of such a row: uid of the Repository object; empty when the state is not the current one of its name.
[[nodiscard]] std::string repository_uid(const sqlite::query& q);

/// Inserts the current state of a name; answers its position.
std::int64_t insert_revision(sqlite::connection& db, std::int64_t repository, const std::string& ns, const package_revision& r, const sha256_digest& digest,
                             feed_event event, wall_time created);

/// Turns the current state of a name, or of every name of the repository, into history with a Deleted event each, in order of names.
void delete_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor);
void delete_revisions(sqlite::connection& db, std::int64_t repository, std::int64_t feed_floor);

/// Turns the state at `position` into history, before a new state of the name is inserted.
void retire_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor);

/// Makes the state at `position` a new, modified one: readers see something else than before though the row is the same.
void touch_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor);

/// Compact JSON of what a Kptfile says; nothing when it says nothing. Exposed for tests.
[[nodiscard]] std::optional<std::string> encode_kptfile(const kptfile_facts& facts);
[[nodiscard]] kptfile_facts decode_kptfile(std::string_view json);

} // namespace veranda::store
