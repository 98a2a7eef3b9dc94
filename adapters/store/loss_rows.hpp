#pragma once

#include "adapters/store/package_cache.hpp"
#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// The smallest limit that lets one more of these files in; the largest number when no limit does.
[[nodiscard]] std::int64_t fits_at(const std::vector<package_file>& files) noexcept;

/// Writes what is lost of a stored tree, as it was told, or else (null) as its list of files shows it. Writes nothing for a whole tree.
void write_losses(sqlite::connection& db, std::int64_t tree, const std::vector<package_file>& files, const tree_losses* told);
/// Does that for every tree. Of files that were left out of the lists nothing is known.
void derive_all_losses(sqlite::connection& db);

/// What is lost of a tree; nothing when it is whole. At most `named` losses are named.
[[nodiscard]] std::optional<tree_losses> read_losses(sqlite::connection& db, const oid& tree, std::size_t named);

} // namespace veranda::store
