#include "adapters/store/sqlite_object_store.hpp"

#include "adapters/store/object_schema.hpp"
#include "adapters/store/object_semantics.hpp"

#include <nlohmann/json.hpp>

namespace veranda::store {
namespace {

using nlohmann::json;
using sqlite::connection;
using sqlite::error;
using sqlite::guarded;
using sqlite::query;
using sqlite::transaction;

[[noreturn]] void refuse(ec code, std::string what, const object_key& key, std::string field = {}) {
  throw error{{code, std::move(what), to_string(key), std::move(field), {}}};
}

class sqlite_object_store final : public object_store {
public:
  sqlite_object_store(std::unique_ptr<connection> db, std::shared_ptr<change_hub> hub, std::function<wall_time()> now, std::int64_t events_kept)
      : db_(std::move(db)), hub_(std::move(hub)), now_(std::move(now)), events_kept_(events_kept) {}

  result<stored_object> create(const std::string& resource, const std::string& text) override {
    return write([&] {
      auto object = semantics::created(semantics::parse_object(text), now_());
      const auto key = semantics::key_of(object);
      if (find(resource, key))
        refuse(ec::conflict, "the object already exists", key);
      return put(resource, key, std::move(object), watch_event::added);
    });
  }

  result<stored_object> update(const std::string& resource, const std::string& text) override {
    return write([&] {
      auto given = semantics::parse_object(text);
      const auto key = semantics::key_of(given);
      const auto stored = require(resource, key);
      check_preconditions(key, stored, given);
      return replace(resource, key, stored, std::move(given));
    });
  }

  result<stored_object> update_status(const std::string& resource, const object_key& key, const std::string& uid, const std::string& status_json) override {
    return write([&] {
      const auto stored = require(resource, key);
      if (!uid.empty() && uid != semantics::meta_text(stored, "uid"))
        refuse(ec::conflict, "the object was deleted and created anew", key, "metadata.uid");
      return put_if_changed(resource, key, stored, semantics::with_status(stored, semantics::parse_object(status_json)));
    });
  }

  result<stored_object> merge_patch(const std::string& resource, const object_key& key, const std::string& patch_json) override {
    return write([&] {
      const auto stored = require(resource, key);
      const auto patch = semantics::parse_object(patch_json);
      check_preconditions(key, stored, patch);
      json given = stored;
      given.merge_patch(patch);
      if (semantics::key_of(given) != key)
        refuse(ec::invalid_spec, "namespace and name cannot be changed", key, "metadata.name");
      return replace(resource, key, stored, std::move(given));
    });
  }

  result<stored_object> remove(const std::string& resource, const object_key& key) override {
    return write([&] {
      const auto stored = require(resource, key);
      if (!semantics::has_finalizers(stored))
        return erase(resource, key, stored);
      return put_if_changed(resource, key, stored, semantics::is_marked_deleted(stored) ? stored : semantics::marked_deleted(stored, now_()));
    });
  }

private:
  /// One transaction; readers that wait hear of it once it is committed.
  template <class F>
  result<stored_object> write(F&& change) {
    return guarded([&] {
      transaction tx{*db_, true};
      auto object = change();
      tx.commit();
      hub_->publish(object.resource_version);
      return object;
    });
  }

  std::optional<json> find(const std::string& resource, const object_key& key) {
    query q{*db_, "SELECT json FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3"};
    if (!q.bind(resource, key.ns, key.name).step())
      return std::nullopt;
    auto object = json::parse(q.view(0), nullptr, false);
    if (!object.is_object() || !object.contains("metadata"))
      refuse(ec::corrupt_cache, "the stored object is damaged", key);
    return object;
  }

  json require(const std::string& resource, const object_key& key) {
    auto object = find(resource, key);
    if (!object)
      refuse(ec::not_found, "there is no such object", key);
    return std::move(*object);
  }

  static void check_preconditions(const object_key& key, const json& stored, const json& given) {
    for (const char* member : {"resourceVersion", "uid"}) {
      const auto wanted = semantics::meta_text(given, member);
      if (!wanted.empty() && wanted != semantics::meta_text(stored, member))
        refuse(ec::conflict, "the object has been changed since; read it again and redo the change", key, std::string{"metadata."} + member);
    }
  }

  stored_object replace(const std::string& resource, const object_key& key, const json& stored, json given) {
    auto next = semantics::replaced(stored, std::move(given));
    if (semantics::is_marked_deleted(next) && !semantics::has_finalizers(next))
      return erase(resource, key, std::move(next));
    return put_if_changed(resource, key, stored, std::move(next));
  }

  stored_object put_if_changed(const std::string& resource, const object_key& key, const json& stored, json next) {
    if (next != stored)
      return put(resource, key, std::move(next), watch_event::modified);
    return as_stored(resource, key, stored);
  }

  static stored_object as_stored(const std::string& resource, const object_key& key, const json& object) {
    return {resource, key, semantics::meta_text(object, "uid"), std::stoll(semantics::meta_text(object, "resourceVersion")),
            semantics::generation_of(object), object.dump()};
  }

  stored_object put(const std::string& resource, const object_key& key, json object, watch_event event) {
    auto row = stamp(resource, key, std::move(object));
    query{*db_, "INSERT INTO objects(resource, ns, name, uid, resource_version, generation, json) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                "ON CONFLICT(resource, ns, name) DO UPDATE SET resource_version = ?5, generation = ?6, json = ?7"}
        .bind(row.resource, row.key.ns, row.key.name, row.uid, row.resource_version, row.generation, row.json)
        .run();
    append(event, row);
    return row;
  }

  stored_object erase(const std::string& resource, const object_key& key, json object) {
    auto row = stamp(resource, key, std::move(object));
    query{*db_, "DELETE FROM objects WHERE resource = ?1 AND ns = ?2 AND name = ?3"}.bind(resource, key.ns, key.name).run();
    append(watch_event::deleted, row);
    return row;
  }

  /// Gives the object the next resourceVersion.
  stored_object stamp(const std::string& resource, const object_key& key, json object) {
    query next{*db_, "UPDATE counters SET value = value + 1 WHERE name = 'resource_version' RETURNING value"};
    next.step();
    object["metadata"]["resourceVersion"] = std::to_string(next.integer(0));
    next.run();
    return as_stored(resource, key, object);
  }

  void append(watch_event event, const stored_object& row) {
    query{*db_, "INSERT INTO events(resource_version, type, resource, ns, name, uid, generation, json) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"}
        .bind(row.resource_version, static_cast<int>(event), row.resource, row.key.ns, row.key.name, row.uid, row.generation, row.json)
        .run();
    const auto floor = row.resource_version - events_kept_;
    query{*db_, "UPDATE counters SET value = ?1 WHERE name = 'event_floor' AND value < ?1"}.bind(floor).run();
    if (db_->changes() > 0)
      query{*db_, "DELETE FROM events WHERE resource_version <= ?1"}.bind(floor).run();
  }

  std::unique_ptr<connection> db_;
  std::shared_ptr<change_hub> hub_;
  std::function<wall_time()> now_;
  std::int64_t events_kept_;
};

} // namespace

result<std::unique_ptr<object_store>> open_object_store(const std::filesystem::path& file, std::function<wall_time()> now, std::int64_t events_kept) {
  return guarded([&]() -> std::unique_ptr<object_store> {
    auto db = sqlite::open_for_writing(file, object_schema);
    return std::make_unique<sqlite_object_store>(std::move(db), change_hub::of(file), std::move(now), events_kept);
  });
}

} // namespace veranda::store
