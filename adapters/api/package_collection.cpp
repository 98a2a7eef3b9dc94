#include "adapters/api/collection.hpp"
#include "adapters/api/status.hpp"
#include "adapters/codec/porch_codec.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace veranda::api {
namespace {

const package_row& row_of(const object_view& o) { return std::get<package_row>(o.data); }

/// A package as its revisions make it.
struct gathered {
  package_row row;
  std::int64_t version = 0; ///< of its most recently changed revision
  std::size_t revisions = 0;
};

/// Packages by object key, which is the order of a listing.
using gathered_map = std::map<object_key, gathered>;

std::int64_t number_of(const std::string& text) {
  std::int64_t n = 0;
  for (const char c : text.substr(0, 18)) {
    if (c < '0' || c > '9')
      return 0;
    n = n * 10 + (c - '0');
  }
  return n;
}

object_key package_key(const store::cached_revision& r) {
  return {r.repository.ns, codec::package_object_name(r.repository.name, r.revision.key.package_name())};
}

object_view view_of(const object_key& key, const gathered& g) {
  object_view v{key, {}, std::to_string(g.version), {}};
  v.data = g.row;
  return v;
}

class package_collection final : public collection {
public:
  explicit package_collection(std::shared_ptr<store::package_cache_reader> reader) : reader_(std::move(reader)) {}

  result<std::int64_t> list(const collection_query& query, const std::function<bool(object_view&&)>& f) override {
    gathered_map packages;
    const auto position = gather(query, packages);
    if (!position)
      return position;
    for (const auto& [key, package] : packages)
      if (!begins_behind(query, key) && !f(view_of(key, package)))
        break;
    return position;
  }

  /// Only the revisions tell, and `list` has read them once.
  result<std::optional<std::uint64_t>> count(const collection_query&) override { return std::optional<std::uint64_t>{}; }

  result<std::optional<object_view>> get(const object_key& key) override {
    gathered_map packages;
    if (const auto position = gather({key.ns, key.name, {}}, packages); !position)
      return position.error();
    const auto found = packages.find(key);
    if (found == packages.end())
      return std::optional<object_view>{};
    return std::optional<object_view>{view_of(found->first, found->second)};
  }

  /// A change of any of its revisions is one of the package: modified while it has revisions, deleted when it has none.
  result<change_batch> changes_after(std::int64_t position, std::size_t limit) override {
    const auto current = reader_->feed_position();
    if (!current)
      return current.error();
    const auto entries = reader_->feed_after(position, limit);
    if (!entries)
      return entries.error();
    change_batch batch;
    batch.more = entries->size() == limit;
    batch.position = batch.more ? position : std::max(position, *current);
    std::map<object_key, const store::feed_entry*> touched; // the last entry of each
    std::set<object_key> repositories;
    for (const auto& e : *entries) {
      batch.position = std::max(batch.position, e.position);
      touched[package_key(e.object)] = &e;
      repositories.insert(e.object.repository);
    }
    gathered_map now;
    for (const auto& r : repositories)
      if (const auto ok = gather({r.ns, {}, r.name}, now); !ok)
        return ok.error();
    for (const auto& [key, entry] : touched)
      batch.changes.push_back(change_of(key, *entry, now));
    std::sort(batch.changes.begin(), batch.changes.end(), [](const auto& a, const auto& b) { return a.position < b.position; });
    return batch;
  }

  object_attributes attributes_of(const object_view& o) override {
    object_attributes a;
    a.fields = {{"metadata.name", o.key.name},
                {"metadata.namespace", o.key.ns},
                {"spec.repository", row_of(o).repository.name},
                {"spec.packageName", row_of(o).package}};
    return a;
  }

  result<std::string> encode(const object_view& o) override {
    const auto& row = row_of(o);
    return codec::encode_package(row.repository, row.package, row.latest_revision, o.resource_version);
  }

  std::string metadata(const object_view& o) override {
    return "{\"name\":" + json_text(o.key.name) + ",\"namespace\":" + json_text(o.key.ns) + ",\"resourceVersion\":" + json_text(o.resource_version) + "}";
  }

  const std::vector<table_column>& columns() const override {
    static const std::vector<table_column> c{{"Name", "string", "Name of the package"},
                                             {"Package", "string", "Package, with the directories above it"},
                                             {"Repository", "string", "Repository that holds it"},
                                             {"Latest Revision", "integer", "Latest published revision, 0 when there is none"}};
    return c;
  }

  std::vector<std::string> cells(const object_view& o, wall_time) override {
    const auto& row = row_of(o);
    return {json_text(o.key.name), json_text(row.package), json_text(row.repository.name), std::to_string(row.latest_revision)};
  }

private:
  result<std::int64_t> gather(const collection_query& query, gathered_map& into) {
    return reader_->list({query.ns, query.repository, {}}, [&](const store::cached_revision& r) {
      const auto key = package_key(r);
      if (!query.name.empty() && key.name != query.name)
        return true;
      auto& package = into[key];
      package.row.repository = r.repository;
      package.row.package = r.revision.key.package_name();
      if (r.revision.latest)
        package.row.latest_revision = r.revision.key.revision;
      package.version = std::max(package.version, number_of(r.resource_version));
      ++package.revisions;
      return true;
    });
  }

  static object_change change_of(const object_key& key, const store::feed_entry& entry, const gathered_map& now) {
    const auto found = now.find(key);
    gathered package;
    auto type = store::watch_event::deleted;
    if (found != now.end()) {
      package = found->second;
      const bool fresh = package.revisions == 1 && entry.event == store::feed_event::added;
      type = fresh ? store::watch_event::added : store::watch_event::modified;
    } else {
      package.row = {entry.object.repository, entry.object.revision.key.package_name(), 0};
    }
    package.version = entry.position;
    return {type, view_of(key, package), entry.position};
  }

  std::shared_ptr<store::package_cache_reader> reader_;
};

} // namespace

std::unique_ptr<collection> make_package_collection(std::shared_ptr<store::package_cache_reader> reader) {
  return std::make_unique<package_collection>(std::move(reader));
}

} // namespace veranda::api
