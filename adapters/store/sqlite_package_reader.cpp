#include "adapters/store/content_rows.hpp"
#include "adapters/store/loss_rows.hpp"
#include "adapters/store/package_schema.hpp"
#include "adapters/store/revision_rows.hpp"
#include "adapters/store/sqlite_package_cache.hpp"
#include "adapters/store/state_rows.hpp"

#include <sys/stat.h>
#include <unordered_set>

namespace veranda::store {
namespace {

using sqlite::connection;
using sqlite::error;
using sqlite::guarded;
using sqlite::query;
using sqlite::transaction;

std::int64_t position_of(connection& db) { return db.integer("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'"); }

/// The ids that `sql` (parameters: the key, `limit`) finds no row for.
std::vector<oid> missing(connection& db, std::string_view sql, const std::vector<oid>& ids, std::uint64_t limit = 0) {
  transaction tx{db, false};
  query q{db, sql};
  std::unordered_set<oid, oid_hash> seen;
  std::vector<oid> absent;
  for (const auto& id : ids) {
    if (!seen.insert(id).second)
      continue;
    if (!q.again().bind(sqlite::blob{digest_key(id)}).bind_at(2, limit).step())
      absent.push_back(id);
  }
  return absent;
}

/// `WHERE` of a listing: only terms for what is asked, so that each form uses its index.
std::string condition(const revision_query& wanted) {
  std::string sql = "WHERE r.repository IS NOT NULL";
  if (!wanted.ns.empty())
    sql += " AND r.ns = ?1";
  if (!wanted.repository.empty())
    sql += wanted.ns.empty() ? " AND r.repository IN (SELECT id FROM repositories WHERE name = ?2)"
                             : " AND r.repository = (SELECT id FROM repositories WHERE ns = ?1 AND name = ?2)";
  if (!wanted.name.empty())
    sql += " AND r.name = ?3";
  if (!wanted.after.name.empty())
    sql += wanted.ns.empty() || wanted.ns != wanted.after.ns ? " AND (r.ns, r.name) > (?4, ?5)" : " AND r.name > ?5";
  return sql;
}

query& bind_condition(query& q, const revision_query& wanted) {
  return q.bind_at(1, wanted.ns).bind_at(2, wanted.repository).bind_at(3, wanted.name).bind_at(4, wanted.after.ns).bind_at(5, wanted.after.name);
}

/// Device and inode; zeros when there is no file.
using file_identity = std::pair<std::uint64_t, std::uint64_t>;

file_identity identity_of(const std::filesystem::path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0)
    return {};
  return {found.st_dev, found.st_ino};
}

class sqlite_package_cache_reader final : public package_cache_reader {
public:
  sqlite_package_cache_reader(std::unique_ptr<connection> db, file_identity file) : db_(std::move(db)), file_(file) {}

  result<std::vector<snapshot_entry>> snapshot(const std::string& uid) override {
    return guarded([&] {
      query q{*db_, "SELECT name, digest FROM revisions WHERE repository = (SELECT id FROM repositories WHERE uid = ?1)"};
      q.bind(uid);
      std::vector<snapshot_entry> entries;
      while (q.step()) {
        auto& entry = entries.emplace_back();
        entry.name = q.text(0);
        if (const auto digest = q.view(1); digest.size() == entry.digest.size())
          std::copy(digest.begin(), digest.end(), reinterpret_cast<char*>(entry.digest.data()));
      }
      return entries;
    });
  }

  result<std::vector<oid>> missing_trees(const std::vector<oid>& trees, std::uint64_t max_resource_bytes) override {
    return guarded([&] {
      return missing(*db_,
                     "SELECT 1 FROM trees t WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM condemned_trees c WHERE c.id = t.id) "
                     "AND NOT EXISTS (SELECT 1 FROM losses l WHERE l.tree = t.id AND l.fits_at <= ?2)",
                     trees, max_resource_bytes);
    });
  }

  result<std::vector<oid>> missing_contents(const std::vector<oid>& blobs) override {
    return guarded([&] {
      return missing(*db_, "SELECT 1 FROM contents t WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM condemned_contents c WHERE c.id = t.id)", blobs);
    });
  }

  result<std::vector<incomplete_revision>> incomplete_revisions(const std::string& uid) override {
    return guarded([&] {
      // Few trees have losses: they lead, whatever the number of revisions.
      query q{*db_, "SELECT r.name, r.ref, r.lock_directory, t.digest FROM losses l CROSS JOIN trees t ON t.id = l.tree CROSS JOIN revisions r "
                    "ON r.tree = t.digest AND r.repository IS NOT NULL WHERE r.repository = (SELECT id FROM repositories WHERE uid = ?1) ORDER BY r.name"};
      q.bind(uid);
      std::vector<incomplete_revision> found;
      while (q.step())
        found.push_back({q.text(0), q.text(1), q.text(2), from_digest_key(q.view(3))});
      return found;
    });
  }

  result<std::vector<tree_losses>> losses(const std::vector<oid>& trees, std::size_t named) override {
    return guarded([&] {
      transaction tx{*db_, false};
      std::vector<tree_losses> found;
      for (const auto& tree : trees)
        if (auto lost = read_losses(*db_, tree, named)) {
          named -= lost->first.size();
          found.push_back(std::move(*lost));
        }
      return found;
    });
  }

  result<std::optional<durable_state>> state(const std::string& uid) override {
    return guarded([&]() -> std::optional<durable_state> {
      transaction tx{*db_, false};
      auto row = read_repository(*db_, uid);
      return row ? std::optional{std::move(row->state)} : std::nullopt;
    });
  }

  result<std::vector<durable_state>> states() override {
    return guarded([&] {
      transaction tx{*db_, false};
      return read_states(*db_);
    });
  }

  result<std::int64_t> list(const revision_query& wanted, const std::function<bool(const cached_revision&)>& f) override {
    return guarded([&] {
      transaction tx{*db_, false};
      const auto position = position_of(*db_);
      const auto sql = select_revision + condition(wanted) + " ORDER BY r.ns, r.name";
      query q{*db_, sql};
      bind_condition(q, wanted);
      while (q.step() && f(read_revision(q).object)) {
      }
      return position;
    });
  }

  result<std::uint64_t> count(const revision_query& wanted) override {
    return guarded([&] {
      const auto sql = "SELECT count(*) FROM revisions r " + condition(wanted);
      query q{*db_, sql};
      bind_condition(q, wanted).step();
      return static_cast<std::uint64_t>(q.integer(0));
    });
  }

  result<std::optional<cached_revision>> get(const object_key& name) override {
    return guarded([&]() -> std::optional<cached_revision> {
      static const std::string sql = select_revision + "WHERE r.repository IS NOT NULL AND r.ns = ?1 AND r.name = ?2";
      query q{*db_, sql};
      if (!q.bind(name.ns, name.name).step())
        return std::nullopt;
      return std::move(read_revision(q).object);
    });
  }

  result<std::vector<std::pair<package_file, std::string>>> resources(const oid& tree) override {
    return guarded([&] {
      transaction tx{*db_, false};
      query list{*db_, "SELECT files FROM trees WHERE digest = ?1"};
      if (!list.bind(sqlite::blob{digest_key(tree)}).step())
        throw error{{ec::not_found, "the files of the package are not in the cache", tree.hex(), {}, {}}};
      std::vector<std::pair<package_file, std::string>> files;
      query content{*db_, "SELECT data FROM contents WHERE digest = ?1"};
      for (auto& file : decode_files(list.view(0))) {
        auto& [entry, data] = files.emplace_back(std::move(file), std::string{});
        if (entry.kind == file_kind::omitted_too_large)
          continue;
        if (!content.again().bind(sqlite::blob{digest_key(entry.blob)}).step())
          throw error{{ec::corrupt_cache, "the content of the file " + entry.path + " is missing from the cache", tree.hex(), {}, {}}};
        data = content.text(0);
      }
      return files;
    });
  }

  result<std::vector<feed_entry>> feed_after(std::int64_t position, std::size_t limit) override {
    return guarded([&] {
      transaction tx{*db_, false};
      const auto floor = db_->integer("SELECT value FROM counters WHERE name = 'feed_floor'");
      if (position < floor)
        throw error{{ec::stale, "the change feed no longer reaches back to position " + std::to_string(position), {}, {}, {}}};
      if (position > position_of(*db_))
        throw error{{ec::stale, "position " + std::to_string(position) + " of the change feed is in the future", {}, {}, {}}};
      static const std::string sql = select_revision + "WHERE r.position > ?1 ORDER BY r.position LIMIT ?2";
      query q{*db_, sql};
      q.bind(position, static_cast<std::int64_t>(std::min<std::size_t>(limit, feed_entries_kept)));
      std::vector<feed_entry> entries;
      while (q.step())
        entries.push_back(read_revision(q));
      return entries;
    });
  }

  result<std::int64_t> feed_position() override {
    return guarded([&] { return position_of(*db_); });
  }

  [[nodiscard]] bool outdated() const override { return identity_of(db_->file()) != file_; }

private:
  std::unique_ptr<connection> db_;
  file_identity file_;
};

} // namespace

result<std::unique_ptr<package_cache_reader>> open_package_cache_reader(const std::filesystem::path& file) {
  return guarded([&]() -> std::unique_ptr<package_cache_reader> {
    const auto before = identity_of(file); // replaced from here on: outdated at once, never taken for the new one
    return std::make_unique<sqlite_package_cache_reader>(sqlite::open_for_reading(file, package_schema), before);
  });
}

} // namespace veranda::store
