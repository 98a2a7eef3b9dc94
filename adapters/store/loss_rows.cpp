#include "adapters/store/loss_rows.hpp"

#include "adapters/store/content_rows.hpp"
#include "adapters/store/state_rows.hpp"

#include <algorithm>
#include <limits>

namespace veranda::store {
namespace {

constexpr auto no_limit = std::numeric_limits<std::int64_t>::max();

tree_losses derived(const std::vector<package_file>& files) {
  tree_losses lost;
  for (const auto& file : files) {
    if (file.kind != file_kind::omitted_too_large)
      continue;
    if (++lost.count <= named_losses)
      lost.first.push_back({file.path, "is too large (" + std::to_string(file.size_bytes) + " bytes); its content is not kept", false});
  }
  return lost;
}

} // namespace

std::int64_t fits_at(const std::vector<package_file>& files) noexcept {
  auto smallest = no_limit;
  for (const auto& file : files)
    if (file.kind == file_kind::omitted_too_large && file.size_bytes > 0) // of unknown size otherwise
      smallest = std::min(smallest, static_cast<std::int64_t>(std::min<std::uint64_t>(file.size_bytes, no_limit)));
  return smallest;
}

void write_losses(sqlite::connection& db, std::int64_t tree, const std::vector<package_file>& files, const tree_losses* told) {
  const auto lost = told ? *told : derived(files);
  if (lost.count == 0)
    return;
  const auto size = fits_at(files);
  sqlite::query{db, "INSERT INTO losses(tree, count, fits_at, first) VALUES(?1, ?2, ?3, ?4)"}
      .bind(tree, lost.count, size == no_limit ? std::nullopt : std::optional{size}, encode_bad(lost.first))
      .run();
}

void derive_all_losses(sqlite::connection& db) {
  sqlite::query q{db, "SELECT id, files FROM trees"};
  while (q.step())
    write_losses(db, q.integer(0), decode_files(q.view(1)), nullptr);
}

std::optional<tree_losses> read_losses(sqlite::connection& db, const oid& tree, std::size_t named) {
  sqlite::query q{db, "SELECT count, first FROM losses WHERE tree = (SELECT id FROM trees WHERE digest = ?1)"};
  if (!q.bind(sqlite::blob{digest_key(tree)}).step())
    return std::nullopt;
  tree_losses lost{tree, static_cast<std::uint64_t>(q.integer(0)), {}};
  if (named > 0)
    lost.first = decode_bad(q.view(1));
  if (lost.first.size() > named)
    lost.first.resize(named);
  return lost;
}

} // namespace veranda::store
