#include "adapters/store/package_mirror_reader.hpp"
#include "adapters/store/package_schema.hpp"
#include "adapters/store/revision_rows.hpp"
#include "adapters/store/sqlite_package_cache.hpp"

namespace veranda::store {
namespace {

using sqlite::connection;
using sqlite::error;
using sqlite::guarded;
using sqlite::query;
using sqlite::transaction;

owned_revision read_owned(const query& q) { return {read_revision(q).object, repository_uid(q)}; }

class sqlite_mirror_reader final : public package_mirror_reader {
public:
  sqlite_mirror_reader(std::unique_ptr<package_cache_reader> identity, std::unique_ptr<connection> db) : identity_(std::move(identity)), db_(std::move(db)) {}

  result<std::int64_t> list(const std::function<void(const owned_revision&)>& f) override {
    return guarded([&] {
      transaction tx{*db_, false};
      const auto position = end_of_feed();
      static const std::string sql = select_revision + "WHERE r.repository IS NOT NULL";
      query q{*db_, sql};
      while (q.step())
        f(read_owned(q));
      return position;
    });
  }

  result<std::optional<owned_revision>> get(const object_key& name) override {
    return guarded([&]() -> std::optional<owned_revision> {
      static const std::string sql = select_revision + "WHERE r.repository IS NOT NULL AND r.ns = ?1 AND r.name = ?2";
      query q{*db_, sql};
      if (!q.bind(name.ns, name.name).step())
        return std::nullopt;
      return read_owned(q);
    });
  }

  result<std::int64_t> changes_after(std::int64_t position, std::size_t limit, std::vector<revision_change>& out) override {
    return guarded([&] {
      transaction tx{*db_, false};
      if (position < db_->integer("SELECT value FROM counters WHERE name = 'feed_floor'") || position > end_of_feed())
        throw error{{ec::stale, "position " + std::to_string(position) + " is not in the change feed", {}, {}, {}}};
      static const std::string sql = select_revision + "WHERE r.position > ?1 ORDER BY r.position LIMIT ?2";
      query q{*db_, sql};
      q.bind(position, static_cast<std::int64_t>(std::min<std::size_t>(limit, feed_entries_kept)));
      auto reached = position;
      while (q.step()) {
        auto entry = read_revision(q);
        reached = entry.position;
        object_key name{entry.object.repository.ns, entry.object.revision.name};
        auto uid = repository_uid(q);
        if (!uid.empty())
          out.push_back({entry.position, std::move(name), owned_revision{std::move(entry.object), std::move(uid)}});
        else if (entry.event == feed_event::deleted)
          out.push_back({entry.position, std::move(name), std::nullopt});
      }
      return reached;
    });
  }

  result<std::optional<cached_repository>> repository(const object_key& key) override {
    return guarded([&]() -> std::optional<cached_repository> {
      query q{*db_, "SELECT uid, last_success IS NOT NULL FROM repositories WHERE ns = ?1 AND name = ?2"};
      if (!q.bind(key.ns, key.name).step())
        return std::nullopt;
      return cached_repository{q.text(0), q.integer(1) != 0};
    });
  }

  [[nodiscard]] bool outdated() const override { return identity_->outdated(); }

private:
  std::int64_t end_of_feed() { return db_->integer("SELECT seq FROM sqlite_sequence WHERE name = 'revisions'"); }

  std::unique_ptr<package_cache_reader> identity_;
  std::unique_ptr<connection> db_;
};

} // namespace

result<std::unique_ptr<package_mirror_reader>> open_package_mirror_reader(const std::filesystem::path& file) {
  auto identity = open_package_cache_reader(file); // first: replaced from here on, the file is outdated at once
  if (!identity)
    return identity.error();
  return guarded([&]() -> std::unique_ptr<package_mirror_reader> {
    return std::make_unique<sqlite_mirror_reader>(*std::move(identity), sqlite::open_for_reading(file, package_schema));
  });
}

} // namespace veranda::store
