#include "adapters/api/collection.hpp"
#include "adapters/api/status.hpp"
#include "adapters/codec/repository_codec.hpp"

#include <nlohmann/json.hpp>

namespace veranda::api {
namespace {

using nlohmann::json;

/// The text at a path of an object, empty when there is none.
std::string text_at(const json& object, std::initializer_list<const char*> path) {
  const json* at = &object;
  for (const auto* key : path) {
    if (!at->is_object())
      return {};
    const auto found = at->find(key);
    if (found == at->end())
      return {};
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : std::string{};
}

bool flag_at(const json& object, const char* outer, const char* inner) {
  if (!object.is_object() || !object.contains(outer) || !object[outer].is_object())
    return false;
  const auto found = object[outer].find(inner);
  return found != object[outer].end() && found->is_boolean() && found->get<bool>();
}

json parse_object(const object_view& o) {
  auto parsed = json::parse(std::get<store::stored_object>(o.data).json, nullptr, false);
  return parsed.is_object() ? parsed : json::object();
}

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

object_view view_of(store::stored_object&& stored) {
  object_view v{stored.key, stored.uid, std::to_string(stored.resource_version), {}};
  v.data = std::move(stored);
  return v;
}

/// When the next sync is due, as a person reads it.
std::string next_sync_text(const repository_status& status, bool suspended, wall_time now) {
  if (suspended)
    return "suspended";
  if (!status.next_full_sync)
    return {};
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(*status.next_full_sync - now);
  return left.count() <= 0 ? "now" : human_duration(left);
}

const condition* ready_condition(const repository_status& status) {
  for (const auto& c : status.conditions)
    if (c.type == "Ready")
      return &c;
  return nullptr;
}

std::string age_text(const std::string& created, wall_time now) {
  const auto at = parse_rfc3339(created);
  return at ? human_duration(std::max(std::chrono::seconds{0}, std::chrono::duration_cast<std::chrono::seconds>(now - *at))) : "<unknown>";
}

class repository_collection final : public collection {
public:
  explicit repository_collection(std::shared_ptr<store::object_store_reader> reader) : reader_(std::move(reader)) {}

  result<std::int64_t> list(const collection_query& query, const std::function<bool(object_view&&)>& f) override {
    auto all = reader_->list(resource_, query.ns);
    if (!all)
      return all.error();
    for (auto& stored : all->items)
      if ((query.name.empty() || stored.key.name == query.name) && !begins_behind(query, stored.key) && !f(view_of(std::move(stored))))
        break;
    return all->resource_version;
  }

  result<std::optional<std::uint64_t>> count(const collection_query& query) override {
    std::uint64_t n = 0;
    const auto listed = list(query, [&n](object_view&&) { return ++n, true; });
    if (!listed)
      return listed.error();
    return std::optional{n};
  }

  result<std::optional<object_view>> get(const object_key& key) override {
    auto stored = reader_->get(resource_, key);
    if (!stored)
      return stored.error();
    if (!stored->has_value())
      return std::optional<object_view>{};
    return std::optional<object_view>{view_of(std::move(**stored))};
  }

  result<change_batch> changes_after(std::int64_t position, std::size_t limit) override {
    const auto current = reader_->wait_beyond(position, std::chrono::milliseconds{0});
    if (!current)
      return current.error();
    auto events = reader_->events_after(resource_, position, limit);
    if (!events)
      return events.error();
    change_batch batch;
    batch.more = events->size() == limit;
    batch.position = batch.more ? position : std::max(position, *current);
    for (auto& e : *events) {
      if (e.type == store::watch_event::bookmark)
        continue;
      const auto at = e.object.resource_version;
      batch.position = std::max(batch.position, at);
      batch.changes.push_back({e.type, view_of(std::move(e.object)), at});
    }
    return batch;
  }

  object_attributes attributes_of(const object_view& o) override {
    object_attributes a;
    a.fields = {{"metadata.name", o.key.name}, {"metadata.namespace", o.key.ns}};
    const auto object = parse_object(o);
    if (object.contains("metadata") && object["metadata"].is_object() && object["metadata"].contains("labels"))
      for (const auto& [key, value] : object["metadata"]["labels"].items())
        if (value.is_string())
          a.labels.emplace(key, value.get<std::string>());
    return a;
  }

  result<std::string> encode(const object_view& o) override { return std::get<store::stored_object>(o.data).json; }

  std::string metadata(const object_view& o) override {
    const auto object = parse_object(o);
    return object.contains("metadata") ? dump(object["metadata"]) : "{}";
  }

  const std::vector<table_column>& columns() const override {
    static const std::vector<table_column> c{
        {"Name", "string", "Name of the repository"},
        {"Type", "string", "git or oci"},
        {"Content", "string", "What the repository holds"},
        {"Sync Schedule", "string", "Cron expression, empty for the default frequency"},
        {"Deployment", "boolean", "Whether its packages are ready to be deployed"},
        {"Ready", "string", "Status of condition Ready"},
        {"Next Sync", "string", "Time until the next sync"},
        {"Revisions", "integer", "Package revisions in the cache"},
        {"Address", "string", "Where the repository is"},
        {"Branch", "string", "Registered branch", 1},
        {"Directory", "string", "Directory that holds the packages", 1},
        {"Commit", "string", "Commit of the branch as of the last sync", 1},
        {"Age", "string", "Time since creation", 1},
        {"Message", "string", "Message of condition Ready", 1},
    };
    return c;
  }

  std::vector<std::string> cells(const object_view& o, wall_time now) override {
    const auto object = parse_object(o);
    const auto status = codec::decode_status(std::get<store::stored_object>(o.data).json);
    const auto* ready = ready_condition(status);
    const auto content = text_at(object, {"spec", "content"});
    const auto repo = text_at(object, {"spec", "git", "repo"});
    const auto suspend = text_at(object, {"metadata", "annotations", std::string{api_names::suspend_annotation}.c_str()});
    return {json_text(o.key.name),
            json_text(text_at(object, {"spec", "type"})),
            json_text(content.empty() ? "Package" : content),
            json_text(text_at(object, {"spec", "sync", "schedule"})),
            flag_at(object, "spec", "deployment") ? "true" : "false",
            json_text(ready == nullptr ? std::string{} : ready->status),
            json_text(next_sync_text(status, suspend == "true", now)),
            std::to_string(status.package_count),
            json_text(repo.empty() ? text_at(object, {"spec", "oci", "registry"}) : repo),
            json_text(text_at(object, {"spec", "git", "branch"})),
            json_text(text_at(object, {"spec", "git", "directory"})),
            json_text(status.git_commit_hash.substr(0, 12)),
            json_text(age_text(text_at(object, {"metadata", "creationTimestamp"}), now)),
            json_text(ready == nullptr ? std::string{} : ready->message)};
  }

private:
  std::shared_ptr<store::object_store_reader> reader_;
  std::string resource_ = find_kind(api_names::config_group, "repositories")->resource();
};

} // namespace

std::unique_ptr<collection> make_repository_collection(std::shared_ptr<store::object_store_reader> reader) {
  return std::make_unique<repository_collection>(std::move(reader));
}

} // namespace veranda::api
