#include "adapters/store/sqlite_package_cache.hpp"

#include "adapters/store/content_rows.hpp"
#include "adapters/store/content_sweeper.hpp"
#include "adapters/store/loss_rows.hpp"
#include "adapters/store/package_schema.hpp"
#include "adapters/store/revision_rows.hpp"
#include "adapters/store/state_rows.hpp"

#include <unordered_map>

namespace veranda::store {
namespace {

using sqlite::connection;
using sqlite::error;
using sqlite::guarded;
using sqlite::query;
using sqlite::transaction;

[[noreturn]] void refuse(ec code, std::string what, const object_key& key) { throw error{{code, std::move(what), to_string(key), {}, {}}}; }

/// The row that the claim gives the right to write.
repository_row claimed(connection& db, const repository_claim& claim) {
  auto row = read_repository(db, claim.uid);
  if (!row || row->state.key != claim.key)
    refuse(ec::stale, "the repository is no longer in the cache", claim.key);
  if (row->state.fence != claim.fence)
    refuse(ec::stale, "somebody else has claimed the repository since (fence " + std::to_string(row->state.fence) + ", ours is " +
                          std::to_string(claim.fence) + ")", claim.key);
  return std::move(*row);
}

/// The change feed's ends, and its bound.
class feed_bounds {
public:
  feed_bounds(connection& db, std::int64_t kept) : db_(db), kept_(kept), floor_(db.integer("SELECT value FROM counters WHERE name = 'feed_floor'")) {}
  /// Positions up to this one are no longer in the feed.
  [[nodiscard]] std::int64_t floor() const noexcept { return floor_; }
  [[nodiscard]] std::int64_t position() { return db_.integer("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'"); }
  /// Forgets the oldest history beyond the bound.
  void trim() {
    const auto wanted = position() - kept_;
    if (wanted <= floor_)
      return;
    query{db_, "DELETE FROM revisions WHERE position > ?1 AND position <= ?2 AND repository IS NULL"}.bind(floor_, wanted).run();
    query{db_, "UPDATE counters SET value = ?1 WHERE name = 'feed_floor'"}.bind(wanted).run();
    floor_ = wanted;
  }

private:
  connection& db_;
  std::int64_t kept_;
  std::int64_t floor_;
};

/// Applies the rows of one delta.
class delta_writer {
public:
  delta_writer(connection& db, const repository_row& repository, wall_time now, std::int64_t feed_kept)
      : db_(db), repository_(repository), now_(now), feed_(db, feed_kept) {}

  void remove(const std::string& name) {
    const auto stored = find(name);
    if (!stored || stored->repository != repository_.id)
      return;
    delete_revision(db_, repository_.id, stored->position, feed_.floor());
    changed_ = true;
  }

  void put(const package_revision& r) {
    const auto digest = r.digest();
    const auto stored = find(r.name);
    if (stored && stored->repository != repository_.id) {
      rejected_.push_back({r.ref, "its object name " + r.name + " is taken by a package of the repository " + stored->owner, true});
      return;
    }
    if (stored && stored->digest == bytes_of(digest))
      return;
    if (stored)
      retire_revision(db_, repository_.id, stored->position, feed_.floor());
    insert_revision(db_, repository_.id, repository_.state.key.ns, r, digest, stored ? feed_event::modified : feed_event::added,
                    stored ? to_wall_time(stored->created) : now_);
    changed_ = true;
  }

  /// The counts and the position after it all.
  apply_result finish() {
    if (changed_)
      feed_.trim();
    apply_result outcome{feed_.position(), repository_.state.revisions, repository_.state.packages, std::move(rejected_)};
    if (changed_) {
      outcome.revisions = count("SELECT count(*) FROM revisions WHERE repository = ?1");
      outcome.packages = count("SELECT count(*) FROM (SELECT DISTINCT path, package FROM revisions WHERE repository = ?1)");
    }
    return outcome;
  }
  [[nodiscard]] bool changed() const noexcept { return changed_; }

private:
  struct stored_row {
    std::int64_t position, repository, created;
    std::string digest, owner;
  };

  std::optional<stored_row> find(const std::string& name) {
    query q{db_, "SELECT r.position, r.repository, r.created, r.digest, p.name FROM revisions r JOIN repositories p ON p.id = r.repository "
                 "WHERE r.ns = ?1 AND r.name = ?2 AND r.repository IS NOT NULL"};
    if (!q.bind(repository_.state.key.ns, name).step())
      return std::nullopt;
    return stored_row{q.integer(0), q.integer(1), q.integer(2), q.text(3), q.text(4)};
  }

  std::uint64_t count(std::string_view sql) {
    query q{db_, sql};
    q.bind(repository_.id).step();
    return static_cast<std::uint64_t>(q.integer(0));
  }

  connection& db_;
  const repository_row& repository_;
  wall_time now_;
  feed_bounds feed_;
  bool changed_ = false;
  std::vector<bad_item> rejected_;
};

class sqlite_package_cache final : public package_cache {
public:
  sqlite_package_cache(std::unique_ptr<connection> db, wall_clock now, std::int64_t feed_kept, std::uint64_t max_resource_bytes)
      : db_(std::move(db)), now_(std::move(now)), feed_kept_(feed_kept), max_resource_bytes_(max_resource_bytes), sweeper_(*db_) {}

  result<repository_claim> claim(const object_key& key, const std::string& uid, std::int64_t epoch) override {
    return guarded([&] {
      transaction tx{*db_, true};
      make_room(key, uid, epoch);
      query next{*db_, "UPDATE counters SET value = value + 1 WHERE name = 'fence' RETURNING value"};
      next.step();
      const auto fence = next.integer(0);
      next.run();
      query row{*db_, "INSERT INTO repositories(ns, name, uid, fence, epoch) VALUES(?1, ?2, ?3, ?4, ?5) "
                      "ON CONFLICT(uid) DO UPDATE SET fence = excluded.fence, epoch = excluded.epoch RETURNING basis_digest, id"};
      row.bind(key.ns, key.name, uid, fence, epoch);
      row.step();
      repository_claim claimed{key, uid, fence, row.text(0)};
      const auto id = row.integer(1);
      row.run();
      if (could_keep_more(id))
        claimed.basis_digest.clear();
      tx.commit();
      return claimed;
    });
  }

  result<void> open(const repository_claim& claim, const repository_spec& spec) override {
    return guarded([&] {
      transaction tx{*db_, true};
      const auto row = claimed(*db_, claim);
      if (query q{*db_, "SELECT 1 FROM repositories WHERE id = ?1 AND deployment <> ?2"}; q.bind(row.id, spec.deployment).step())
        touch("SELECT position, repository FROM revisions WHERE repository = ?1 ORDER BY name", row.id); // their history keeps the old flag
      const auto branch = spec.git ? spec.git->branch : std::string{};
      const auto directory = spec.git ? spec.git->directory : std::string{};
      query{*db_, "UPDATE repositories SET type = ?2, deployment = ?3, branch = ?4, directory = ?5 WHERE id = ?1 "
                  "AND (type, deployment, branch, directory) IS NOT (?2, ?3, ?4, ?5)"}
          .bind(row.id, static_cast<int>(spec.type), spec.deployment, branch, directory)
          .run();
      tx.commit();
    });
  }

  result<void> put_contents(const content_batch& batch) override {
    return guarded([&] {
      transaction tx{*db_, true};
      query content{*db_, "INSERT INTO contents(digest, size, data) VALUES(?1, ?2, ?3) ON CONFLICT(digest) DO NOTHING"};
      for (const auto& c : batch.contents) {
        content.again().bind(sqlite::blob{digest_key(c.blob)}, static_cast<std::uint64_t>(c.data.size()), sqlite::borrowed_blob{c.data}).run();
        if (db_->changes() == 0)
          sweeper_.pardon_content(c.blob);
      }
      std::unordered_map<oid, const tree_losses*> losses;
      for (const auto& lost : batch.losses)
        losses.emplace(lost.tree, &lost);
      for (const auto& t : batch.trees) {
        const auto lost = losses.find(t.tree);
        put_tree(t, lost == losses.end() ? nullptr : lost->second);
      }
      tx.commit();
      sweeper_.touched();
    });
  }

  result<apply_result> apply_delta(const repository_claim& claim, const package_delta& delta, const durable_state& state) override {
    return guarded([&] {
      transaction tx{*db_, true};
      const auto row = claimed(*db_, claim);
      require_trees(claim.key, delta);
      delta_writer writer{*db_, row, now_(), feed_kept_};
      for (const auto& name : delta.removed)
        writer.remove(name);
      for (const auto& r : delta.changed)
        writer.put(r);
      for (const auto& r : delta.added)
        writer.put(r);
      auto outcome = writer.finish();
      durable_state next = state;
      next.revisions = outcome.revisions;
      next.packages = outcome.packages;
      const auto& tip = delta.basis.commit.empty() ? state.basis.commit : delta.basis.commit;
      write_state(*db_, row, next, oid::parse(tip).value_or(oid{}));
      tx.commit();
      if (writer.changed())
        sweeper_.touched();
      return outcome;
    });
  }

  result<void> put_state(const repository_claim& claim, const durable_state& state) override {
    return guarded([&] {
      transaction tx{*db_, true};
      const auto row = claimed(*db_, claim);
      durable_state next = state;
      next.basis = row.state.basis;
      next.revisions = row.state.revisions;
      next.packages = row.state.packages;
      write_state(*db_, row, next, row.branch_commit);
      tx.commit();
    });
  }

  result<void> close(const repository_claim& claim) override {
    return guarded([&] {
      transaction tx{*db_, true};
      if (!read_repository(*db_, claim.uid))
        return;
      remove_repository(claimed(*db_, claim).id);
      tx.commit();
      sweeper_.touched();
    });
  }

  result<std::size_t> sweep(std::chrono::seconds age, std::size_t limit) override {
    auto gone = guarded([&] {
      transaction tx{*db_, true};
      const auto removed = sweeper_.run(now_(), age, limit);
      tx.commit();
      return removed;
    });
    if (!gone)
      sweeper_.touched(); // what it found was rolled back: look again
    else if (*gone < limit)
      db_->release_memory();
    return gone;
  }

  result<void> check() override {
    return guarded([&] {
      query q{*db_, "PRAGMA quick_check(1)"};
      if (q.step() && q.view(0) != "ok")
        throw error{{ec::corrupt_cache, "the file is damaged: " + q.text(0), db_->file().string(), {}, {}}};
    });
  }

private:
  /// Refuses an older epoch; removes what is stored under the key for another uid.
  void make_room(const object_key& key, const std::string& uid, std::int64_t epoch) {
    query q{*db_, "SELECT id, ns, name, uid, epoch FROM repositories WHERE (ns = ?1 AND name = ?2) OR uid = ?3"};
    q.bind(key.ns, key.name, uid);
    std::optional<std::int64_t> replaced;
    while (q.step()) {
      if (q.view(1) != key.ns || q.view(2) != key.name)
        refuse(ec::conflict, "the uid " + uid + " belongs to the repository " + q.text(1) + "/" + q.text(2), key);
      if (q.integer(4) > epoch)
        refuse(ec::stale, "a node of a later epoch (" + std::to_string(q.integer(4)) + ", ours is " + std::to_string(epoch) + ") has claimed the repository",
               key);
      if (q.view(3) != uid)
        replaced = q.integer(0);
    }
    if (replaced) {
      remove_repository(*replaced);
      sweeper_.touched();
    }
  }

  void remove_repository(std::int64_t id) {
    feed_bounds feed{*db_, feed_kept_};
    delete_revisions(*db_, id, feed.floor());
    query{*db_, "DELETE FROM repositories WHERE id = ?1"}.bind(id).run();
    feed.trim();
  }

  void put_tree(const package_tree& t, const tree_losses* lost) {
    const auto key = digest_key(t.tree);
    query tree{*db_, "INSERT INTO trees(digest, files) VALUES(?1, ?2) ON CONFLICT(digest) DO NOTHING"};
    tree.bind(sqlite::blob{key}, sqlite::blob{encode_files(t.files)}).run();
    if (db_->changes() > 0) {
      write_losses(*db_, db_->last_insert_id(), t.files, lost);
    } else {
      sweeper_.pardon_tree(t.tree);
      complete_tree(t, lost);
    }
    sweeper_.tree_stored(t);
  }

  /// Replaces a stored tree when the new listing was made with a higher limit. One that was made with a lower limit takes nothing away.
  void complete_tree(const package_tree& t, const tree_losses* lost) {
    const auto key = digest_key(t.tree);
    query q{*db_, "SELECT t.id FROM trees t JOIN losses l ON l.tree = t.id WHERE t.digest = ?1 AND l.fits_at < ?2"};
    if (!q.bind(sqlite::blob{key}, fits_at(t.files)).step())
      return;
    const auto id = q.integer(0);
    query{*db_, "UPDATE trees SET files = ?2 WHERE id = ?1"}.bind(id, sqlite::blob{encode_files(t.files)}).run();
    query{*db_, "DELETE FROM losses WHERE tree = ?1"}.bind(id).run();
    write_losses(*db_, id, t.files, lost);
    // What their last syncs said of this tree is no longer true: the next claim looks anew.
    query{*db_, "UPDATE repositories SET basis_digest = '' WHERE id IN (SELECT repository FROM revisions WHERE tree = ?1)"}.bind(sqlite::blob{key}).run();
    touch("SELECT position, repository FROM revisions WHERE tree = ?1 AND repository IS NOT NULL ORDER BY ns, name", sqlite::blob{key});
  }

  /// Whether a current revision of the repository lacks a file that is not too large any more.
  bool could_keep_more(std::int64_t repository) {
    query q{*db_, "SELECT 1 FROM losses l JOIN trees t ON t.id = l.tree WHERE l.fits_at <= ?1 AND EXISTS "
                  "(SELECT 1 FROM revisions r WHERE r.tree = t.digest AND r.repository IS NOT NULL AND r.repository = ?2)"};
    return q.bind(max_resource_bytes_, repository).step();
  }

  /// Makes the states that `sql` finds (position, repository) modified ones.
  template <class Key>
  void touch(std::string_view sql, const Key& key) {
    std::vector<std::pair<std::int64_t, std::int64_t>> rows;
    {
      query q{*db_, sql};
      q.bind(key);
      while (q.step())
        rows.emplace_back(q.integer(0), q.integer(1));
    }
    if (rows.empty())
      return;
    feed_bounds feed{*db_, feed_kept_};
    for (const auto& [position, repository] : rows)
      touch_revision(*db_, repository, position, feed.floor());
    feed.trim();
  }

  /// A revision never enters the cache without its files.
  void require_trees(const object_key& key, const package_delta& delta) {
    query q{*db_, "SELECT 1 FROM trees WHERE digest = ?1"};
    std::size_t absent = 0;
    for (const auto* list : {&delta.changed, &delta.added})
      for (const auto& r : *list) {
        if (r.tree.is_zero())
          continue;
        if (!q.again().bind(sqlite::blob{digest_key(r.tree)}).step())
          ++absent;
        else
          sweeper_.pardon_tree(r.tree);
      }
    if (absent > 0)
      refuse(ec::conflict, "the files of " + std::to_string(absent) + " package revisions are not stored", key);
  }

  std::unique_ptr<connection> db_;
  wall_clock now_;
  std::int64_t feed_kept_;
  std::uint64_t max_resource_bytes_;
  content_sweeper sweeper_;
};

} // namespace

result<std::unique_ptr<package_cache>> open_package_cache(const std::filesystem::path& file, wall_clock now, std::int64_t feed_kept, std::uint64_t max_resource_bytes) {
  return guarded([&]() -> std::unique_ptr<package_cache> {
    return std::make_unique<sqlite_package_cache>(sqlite::open_for_writing(file, package_schema), std::move(now), feed_kept, max_resource_bytes);
  });
}

} // namespace veranda::store
