#include "adapters/api/collection.hpp"
#include "adapters/api/status.hpp"
#include "adapters/codec/porch_codec.hpp"

#include <algorithm>

namespace veranda::api {
namespace {

constexpr std::string_view latest_label = "kpt.dev/latest-revision";

const store::cached_revision& row_of(const object_view& o) { return std::get<store::cached_revision>(o.data); }

object_view view_of(store::cached_revision row) {
  object_view v{{row.repository.ns, row.revision.name}, row.revision.uid, row.resource_version, {}};
  v.data = std::move(row);
  return v;
}

store::revision_query asked_of_store(const collection_query& query) { return {query.ns, query.repository, query.name, query.after}; }

store::watch_event event_of(store::feed_event e) {
  switch (e) {
  case store::feed_event::added:
    return store::watch_event::added;
  case store::feed_event::modified:
    return store::watch_event::modified;
  case store::feed_event::deleted:
    break;
  }
  return store::watch_event::deleted;
}

const std::vector<table_column>& revision_columns() {
  static const std::vector<table_column> c{
      {"Name", "string", "Name of the package revision"},
      {"Package", "string", "Package, with the directories above it"},
      {"WorkspaceName", "string", "Workspace"},
      {"Revision", "integer", "0 for drafts, -1 for the registered branch"},
      {"Latest", "boolean", "Whether it is the latest revision of its package"},
      {"Lifecycle", "string", "Draft, Proposed, Published or DeletionProposed"},
      {"Repository", "string", "Repository that holds it"},
      {"Age", "string", "Time since it entered the cache", 1},
      {"Ref", "string", "Git ref that it was found at", 1},
      {"Commit", "string", "Git commit", 1},
  };
  return c;
}

const std::vector<table_column>& resource_columns() {
  static const std::vector<table_column> c{
      {"Name", "string", "Name of the package revision"},   {"Package", "string", "Package, with the directories above it"},
      {"WorkspaceName", "string", "Workspace"},             {"Revision", "integer", "0 for drafts, -1 for the registered branch"},
      {"Repository", "string", "Repository that holds it"}, {"Files", "integer", "Number of files"},
  };
  return c;
}

/// PackageRevision and PackageRevisionResources: the same rows, shown differently.
class revision_collection final : public collection {
public:
  revision_collection(std::shared_ptr<store::package_cache_reader> reader, bool with_resources)
      : reader_(std::move(reader)), with_resources_(with_resources) {}

  result<std::int64_t> list(const collection_query& query, const std::function<bool(object_view&&)>& f) override {
    return reader_->list(asked_of_store(query), [&f](const store::cached_revision& row) { return f(view_of(row)); });
  }

  result<std::optional<std::uint64_t>> count(const collection_query& query) override {
    const auto n = reader_->count(asked_of_store(query));
    if (!n)
      return n.error();
    return std::optional{*n};
  }

  result<std::optional<object_view>> get(const object_key& key) override {
    auto row = reader_->get(key);
    if (!row)
      return row.error();
    if (!row->has_value())
      return std::optional<object_view>{};
    return std::optional<object_view>{view_of(std::move(**row))};
  }

  result<change_batch> changes_after(std::int64_t position, std::size_t limit) override {
    const auto current = reader_->feed_position();
    if (!current)
      return current.error();
    auto entries = reader_->feed_after(position, limit);
    if (!entries)
      return entries.error();
    change_batch batch;
    batch.more = entries->size() == limit;
    batch.position = batch.more ? position : std::max(position, *current);
    for (auto& e : *entries) {
      batch.position = std::max(batch.position, e.position);
      auto view = view_of(std::move(e.object));
      view.resource_version = std::to_string(e.position);
      std::get<store::cached_revision>(view.data).resource_version = view.resource_version;
      batch.changes.push_back({event_of(e.event), std::move(view), e.position});
    }
    return batch;
  }

  object_attributes attributes_of(const object_view& o) override {
    const auto& row = row_of(o);
    const auto& key = row.revision.key;
    object_attributes a;
    if (row.revision.latest)
      a.labels.emplace(latest_label, "true");
    a.fields = {{"metadata.name", o.key.name},
                {"metadata.namespace", o.key.ns},
                {"spec.repository", row.repository.name},
                {"spec.packageName", key.package_name()},
                {"spec.workspaceName", key.workspace},
                {"spec.revision", std::to_string(key.revision)},
                {"spec.lifecycle", std::string{to_string(row.revision.lifecycle)}}};
    return a;
  }

  result<std::string> encode(const object_view& o) override {
    const auto& row = row_of(o);
    if (!with_resources_)
      return codec::encode_package_revision(row);
    const auto files = reader_->resources(row.revision.tree);
    if (!files)
      return files.error();
    return codec::encode_package_revision_resources(row, *files);
  }

  std::string metadata(const object_view& o) override {
    const auto& row = row_of(o);
    std::string m = "{\"name\":" + json_text(o.key.name) + ",\"namespace\":" + json_text(o.key.ns) + ",\"uid\":" + json_text(o.uid) +
                    ",\"resourceVersion\":" + json_text(o.resource_version);
    if (row.created != wall_time{})
      m += ",\"creationTimestamp\":" + json_text(format_rfc3339(row.created));
    if (row.revision.latest)
      m += ",\"labels\":{" + json_text(latest_label) + ":\"true\"}";
    return m + "}";
  }

  const std::vector<table_column>& columns() const override { return with_resources_ ? resource_columns() : revision_columns(); }

  std::vector<std::string> cells(const object_view& o, wall_time now) override {
    const auto& row = row_of(o);
    const auto& r = row.revision;
    if (with_resources_) {
      const auto files = reader_->resources(r.tree);
      return {json_text(r.name),           json_text(r.key.package_name()), json_text(r.key.workspace), std::to_string(r.key.revision),
              json_text(row.repository.name), files ? std::to_string(files->size()) : "null"};
    }
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - row.created);
    return {json_text(r.name),
            json_text(r.key.package_name()),
            json_text(r.key.workspace),
            std::to_string(r.key.revision),
            r.latest ? "true" : "false",
            json_text(to_string(r.lifecycle)),
            json_text(row.repository.name),
            json_text(row.created == wall_time{} ? std::string{"<unknown>"} : human_duration(std::max(age, std::chrono::seconds{0}))),
            json_text(r.ref),
            json_text(r.commit.is_zero() ? std::string{} : r.commit.hex().substr(0, 12))};
  }

private:
  std::shared_ptr<store::package_cache_reader> reader_;
  bool with_resources_;
};

} // namespace

std::unique_ptr<collection> make_revision_collection(std::shared_ptr<store::package_cache_reader> reader, bool with_resources) {
  return std::make_unique<revision_collection>(std::move(reader), with_resources);
}

} // namespace veranda::api
