#pragma once

#include "adapters/api/api_server.hpp"
#include "adapters/api/kinds.hpp"
#include "adapters/api/selector.hpp"

#include <mutex>
#include <variant>

namespace veranda::api {

/// A package, made of its revisions: nothing stores packages.
struct package_row {
  object_key repository;
  std::string package;
  std::int64_t latest_revision = 0;
};

/// One object as the API shows it, not yet encoded.
struct object_view {
  object_key key;
  std::string uid;
  std::string resource_version;
  std::variant<store::cached_revision, store::stored_object, package_row> data;
};

/// One entry of a kind's history.
struct object_change {
  store::watch_event type = store::watch_event::added;
  object_view object;
  std::int64_t position = 0;
};

struct change_batch {
  std::vector<object_change> changes;
  std::int64_t position = 0; ///< everything up to here is in `changes`
  bool more = false;
};

/// Restricts a listing in the store itself. Empty fields do not restrict.
struct collection_query {
  std::string ns;
  std::string name;
  std::string repository;
  object_key after = {}; ///< only what is listed behind this object
};

struct object_attributes {
  attribute_map labels;
  attribute_map fields;
};

struct table_column {
  std::string_view name;
  std::string_view type;
  std::string_view description;
  int priority = 0; ///< above 0: only with `-o wide`
};

/// The objects of one kind, whatever stores them. Short-lived; used by one thread; blocks on disk.
class collection {
public:
  virtual ~collection() = default;
  /// Calls `f` in the order of namespace and name until it returns false. Answers the position the listing is consistent with.
  virtual result<std::int64_t> list(const collection_query& query, const std::function<bool(object_view&&)>& f) = 0;
  /// How many `list` would call `f` for; nothing when only reading them all would tell.
  virtual result<std::optional<std::uint64_t>> count(const collection_query& query) = 0;
  virtual result<std::optional<object_view>> get(const object_key& key) = 0;
  /// `stale` when history does not reach back to `position`, or it is from the future.
  virtual result<change_batch> changes_after(std::int64_t position, std::size_t limit) = 0;
  virtual object_attributes attributes_of(const object_view& o) = 0;
  /// The whole object as JSON. `not_found`: it went in the meantime.
  virtual result<std::string> encode(const object_view& o) = 0;
  /// ObjectMeta as JSON, for rows of a table.
  virtual std::string metadata(const object_view& o) = 0;
  virtual const std::vector<table_column>& columns() const = 0;
  /// One JSON value for each column.
  virtual std::vector<std::string> cells(const object_view& o, wall_time now) = 0;
};

/// Readers that are reused between requests, so that a request costs no new database connection.
class reader_pool {
public:
  explicit reader_pool(const api_dependencies& dependencies) : dependencies_(dependencies) {}

  /// A reader that goes back to the pool by itself; null when none can be opened.
  std::shared_ptr<store::package_cache_reader> cache();
  std::shared_ptr<store::object_store_reader> objects();

private:
  const api_dependencies& dependencies_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<store::package_cache_reader>> idle_caches_;
  std::vector<std::unique_ptr<store::object_store_reader>> idle_objects_;
};

/// Failure `unavailable` when the store cannot be opened.
result<std::unique_ptr<collection>> open_collection(const kind_info& kind, reader_pool& readers);

/// Keys are compared as listings are ordered.
[[nodiscard]] inline bool listed_before(const object_key& a, const object_key& b) { return a < b; }
/// Whether a listing begins only behind this object.
[[nodiscard]] inline bool begins_behind(const collection_query& query, const object_key& key) {
  return !query.after.name.empty() && !listed_before(query.after, key);
}

std::unique_ptr<collection> make_repository_collection(std::shared_ptr<store::object_store_reader> reader);
std::unique_ptr<collection> make_revision_collection(std::shared_ptr<store::package_cache_reader> reader, bool with_resources);
std::unique_ptr<collection> make_package_collection(std::shared_ptr<store::package_cache_reader> reader);

} // namespace veranda::api
