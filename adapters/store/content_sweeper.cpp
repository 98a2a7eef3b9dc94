#include "adapters/store/content_sweeper.hpp"

#include "adapters/store/content_rows.hpp"
#include "adapters/store/revision_rows.hpp"

#include <algorithm>

namespace veranda::store {
namespace {

constexpr std::int64_t trees_per_slice = 20'000;
constexpr std::int64_t suspects_per_chunk = 50'000;

/// Removes what has been condemned since `before` or earlier, at most `limit` rows. `kind`: `trees` or `contents`.
std::size_t remove_condemned(sqlite::connection& db, const std::string& kind, std::int64_t before, std::size_t limit) {
  std::vector<std::int64_t> due;
  sqlite::query list{db, "SELECT id FROM condemned_" + kind + " WHERE since <= ?1 LIMIT ?2"};
  list.bind(before, static_cast<std::int64_t>(limit));
  while (list.step())
    due.push_back(list.integer(0));
  sqlite::query row{db, "DELETE FROM " + kind + " WHERE id = ?1"};
  sqlite::query sentence{db, "DELETE FROM condemned_" + kind + " WHERE id = ?1"};
  for (const auto id : due) {
    row.again().bind(id).run();
    sentence.again().bind(id).run();
  }
  return due.size();
}

} // namespace

content_sweeper::content_sweeper(sqlite::connection& db) : db_(db), condemned_(look_for_condemned()) {}

bool content_sweeper::look_for_condemned() {
  return db_.integer("SELECT EXISTS (SELECT 1 FROM condemned_trees) OR EXISTS (SELECT 1 FROM condemned_contents)") != 0;
}

std::size_t content_sweeper::run(wall_time now, std::chrono::seconds age, std::size_t limit) {
  if (!condemned_ && trees_clean_at_ == mutations_ && contents_clean_at_ == mutations_)
    return 0;
  const auto before = to_column(now - age);
  condemn_trees(to_column(now));
  const auto trees = remove_trees(before, limit);
  if (trees > 0)
    touched();
  condemn_contents(to_column(now));
  const auto contents = remove_contents(before, limit - trees);
  condemned_ = look_for_condemned();
  return trees + contents;
}

void content_sweeper::condemn_trees(std::int64_t now) {
  if (tree_cursor_ == 0)
    tree_pass_ = mutations_;
  sqlite::query last{db_, "SELECT max(id), count(*) FROM (SELECT id FROM trees WHERE id > ?1 ORDER BY id LIMIT ?2)"};
  last.bind(tree_cursor_, trees_per_slice).step();
  const auto end = last.integer(0);
  const bool finished = last.integer(1) < trees_per_slice;
  sqlite::query{db_, "INSERT OR IGNORE INTO condemned_trees(id, since) SELECT id, ?3 FROM trees t WHERE id > ?1 AND id <= ?2 "
                     "AND NOT EXISTS (SELECT 1 FROM revisions r WHERE r.tree = t.digest AND r.repository IS NOT NULL)"}
      .bind(tree_cursor_, end, now)
      .run();
  tree_cursor_ = finished ? 0 : end;
  if (finished)
    trees_clean_at_ = tree_pass_;
}

std::size_t content_sweeper::remove_trees(std::int64_t before, std::size_t limit) { return remove_condemned(db_, "trees", before, limit); }

void content_sweeper::gather_suspects() {
  if (content_cursor_ == 0)
    content_pass_ = mutations_;
  walk_cursor_ = 0;
  sqlite::query q{db_, "SELECT id, digest FROM contents WHERE id > ?1 ORDER BY id LIMIT ?2"};
  q.bind(content_cursor_, suspects_per_chunk);
  std::int64_t last = 0;
  while (q.step()) {
    last = q.integer(0);
    suspects_.push_back({from_digest_key(q.view(1)), last, false});
  }
  content_cursor_ = suspects_.size() < suspects_per_chunk ? 0 : last;
  std::sort(suspects_.begin(), suspects_.end(), [](const suspect& a, const suspect& b) { return a.blob < b.blob; });
}

bool content_sweeper::walk_trees() {
  sqlite::query q{db_, "SELECT id, files FROM trees WHERE id > ?1 ORDER BY id LIMIT ?2"};
  q.bind(walk_cursor_, trees_per_slice);
  std::int64_t seen = 0;
  for (; q.step(); ++seen) {
    walk_cursor_ = q.integer(0);
    for_each_blob(q.view(1), [&](const oid& blob) {
      if (auto* s = find(blob))
        s->referenced = true;
    });
  }
  return seen < trees_per_slice;
}

void content_sweeper::condemn_contents(std::int64_t now) {
  if (suspects_.empty())
    gather_suspects();
  if (!walk_trees())
    return;
  sqlite::query q{db_, "INSERT OR IGNORE INTO condemned_contents(id, since) VALUES(?1, ?2)"};
  for (const auto& s : suspects_)
    if (!s.referenced)
      q.again().bind(s.id, now).run();
  suspects_.clear();
  if (content_cursor_ == 0)
    contents_clean_at_ = content_pass_;
}

std::size_t content_sweeper::remove_contents(std::int64_t before, std::size_t limit) { return remove_condemned(db_, "contents", before, limit); }

content_sweeper::suspect* content_sweeper::find(const oid& blob) noexcept {
  const auto at = std::lower_bound(suspects_.begin(), suspects_.end(), blob, [](const suspect& s, const oid& id) { return s.blob < id; });
  return at != suspects_.end() && at->blob == blob ? &*at : nullptr;
}

void content_sweeper::tree_stored(const package_tree& tree) {
  for (const auto& file : tree.files) {
    if (auto* s = find(file.blob))
      s->referenced = true;
    pardon_content(file.blob);
  }
}

void content_sweeper::pardon_tree(const oid& tree) {
  if (condemned_)
    sqlite::query{db_, "DELETE FROM condemned_trees WHERE id = (SELECT id FROM trees WHERE digest = ?1)"}.bind(sqlite::blob{digest_key(tree)}).run();
}

void content_sweeper::pardon_content(const oid& blob) {
  if (condemned_)
    sqlite::query{db_, "DELETE FROM condemned_contents WHERE id = (SELECT id FROM contents WHERE digest = ?1)"}.bind(sqlite::blob{digest_key(blob)}).run();
}

} // namespace veranda::store
