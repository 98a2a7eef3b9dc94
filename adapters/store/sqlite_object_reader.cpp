#include "adapters/store/object_schema.hpp"
#include "adapters/store/sqlite_object_store.hpp"

namespace veranda::store {
namespace {

using sqlite::connection;
using sqlite::error;
using sqlite::guarded;
using sqlite::query;
using sqlite::transaction;

std::int64_t version_of(connection& db) { return db.integer("SELECT value FROM counters WHERE name = 'resource_version'"); }

/// Columns: resource, ns, name, uid, resource_version, generation, json.
stored_object read_object(const query& q) {
  return {q.text(0), {q.text(1), q.text(2)}, q.text(3), q.integer(4), q.integer(5), q.text(6)};
}

class sqlite_object_store_reader final : public object_store_reader {
public:
  sqlite_object_store_reader(std::unique_ptr<connection> db, std::shared_ptr<change_hub> hub) : db_(std::move(db)), hub_(std::move(hub)) {}

  result<object_list> list(const std::string& resource, const std::string& ns) override {
    return guarded([&] {
      transaction tx{*db_, false};
      object_list objects;
      objects.resource_version = version_of(*db_);
      query q{*db_, ns.empty() ? "SELECT resource, ns, name, uid, resource_version, generation, json FROM objects WHERE resource = ?1 ORDER BY ns, name"
                               : "SELECT resource, ns, name, uid, resource_version, generation, json FROM objects WHERE resource = ?1 AND ns = ?2 "
                                 "ORDER BY name"};
      q.bind_at(1, resource).bind_at(2, ns);
      while (q.step())
        objects.items.push_back(read_object(q));
      return objects;
    });
  }

  result<std::optional<stored_object>> get(const std::string& resource, const object_key& key) override {
    return guarded([&]() -> std::optional<stored_object> {
      query q{*db_, "SELECT resource, ns, name, uid, resource_version, generation, json FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3"};
      if (!q.bind(resource, key.ns, key.name).step())
        return std::nullopt;
      return read_object(q);
    });
  }

  result<std::vector<object_event>> events_after(const std::string& resource, std::int64_t resource_version, std::size_t limit) override {
    return guarded([&] {
      transaction tx{*db_, false};
      if (resource_version < db_->integer("SELECT value FROM counters WHERE name = 'event_floor'"))
        throw error{{ec::stale, "events after resourceVersion " + std::to_string(resource_version) + " are no longer kept", {}, {}, {}}};
      if (resource_version > version_of(*db_))
        throw error{{ec::stale, "resourceVersion " + std::to_string(resource_version) + " is in the future", {}, {}, {}}};
      query q{*db_, "SELECT resource, ns, name, uid, resource_version, generation, json, type FROM events "
                    "WHERE resource = ?1 AND resource_version > ?2 ORDER BY resource_version LIMIT ?3"};
      q.bind(resource, resource_version, static_cast<std::int64_t>(std::min<std::size_t>(limit, object_events_kept)));
      std::vector<object_event> events;
      while (q.step())
        events.push_back({static_cast<watch_event>(q.integer(7)), read_object(q)});
      return events;
    });
  }

  result<std::int64_t> wait_beyond(std::int64_t resource_version, std::chrono::milliseconds wait) override {
    return guarded([&] {
      const auto current = version_of(*db_);
      if (current > resource_version)
        return current;
      hub_->wait_beyond(resource_version, wait, interrupted_);
      return version_of(*db_);
    });
  }
  void interrupt() override {
    interrupted_ = true;
    hub_->wake();
  }

private:
  std::unique_ptr<connection> db_;
  std::shared_ptr<change_hub> hub_;
  std::atomic<bool> interrupted_{false};
};

} // namespace

result<std::unique_ptr<object_store_reader>> open_object_store_reader(const std::filesystem::path& file) {
  return guarded([&]() -> std::unique_ptr<object_store_reader> {
    return std::make_unique<sqlite_object_store_reader>(sqlite::open_for_reading(file, object_schema), change_hub::of(file));
  });
}

} // namespace veranda::store
