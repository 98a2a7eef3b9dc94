#include "actors/logic/ownership.hpp"

#include "messages/model/repository.hpp"

#include <nlohmann/json.hpp>

#include <array>

namespace veranda::logic {
namespace {

using json = nlohmann::json;

constexpr int max_depth = 64;

/// What only the store writes; a file that was exported from a cluster may carry it.
constexpr std::array server_fields{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"};

/// An empty object for anything that is not a JSON object of bearable depth.
json read(const std::string& text) {
  bool too_deep = false;
  const auto watch_depth = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > max_depth;
    return !too_deep;
  };
  auto value = json::parse(text, watch_depth, false);
  return too_deep || !value.is_object() ? json::object() : value;
}

/// Null is the same as not naming a field.
void drop_nulls(json& object) {
  for (auto it = object.begin(); it != object.end();) {
    if (it->is_null()) {
      it = object.erase(it);
    } else {
      if (it->is_object()) drop_nulls(*it);
      ++it;
    }
  }
}

/// What a file may own.
json read_manifest(const std::string& text) {
  auto manifest = read(text);
  manifest.erase("status");
  if (const auto metadata = manifest.find("metadata"); metadata != manifest.end() && metadata->is_object()) {
    for (const auto* field : server_fields) metadata->erase(field);
  }
  drop_nulls(manifest);
  return manifest;
}

/// Removes from `live` the fields that `last` named and `desired` does not; an object that this empties goes too.
void remove_disowned(json& live, const json& last, const json& desired) {
  for (const auto& [name, was] : last.items()) {
    const auto now = live.find(name);
    if (now == live.end()) continue;
    const auto wanted = desired.find(name);
    if (was.is_object() && now->is_object() && (wanted == desired.end() || wanted->is_object())) {
      static const json nothing = json::object();
      const bool had_fields = !now->empty();
      remove_disowned(*now, was, wanted == desired.end() ? nothing : *wanted);
      if (wanted == desired.end() && now->empty() && (had_fields || was.empty())) live.erase(name);
    } else if (wanted == desired.end()) {
      live.erase(name);
    }
  }
}

void set_owned(json& live, const json& desired) {
  for (const auto& [name, wanted] : desired.items()) {
    const auto now = live.find(name);
    if (now != live.end() && now->is_object() && wanted.is_object()) {
      set_owned(*now, wanted);
    } else {
      live[name] = wanted;
    }
  }
}

} // namespace

std::optional<std::string> merge_managed(const std::string& last_applied, const std::string& desired, const std::string& live, const std::string& file) {
  const auto wanted = read_manifest(desired);
  const auto stored = read(live);
  auto merged = stored;
  remove_disowned(merged, read_manifest(last_applied), wanted);
  set_owned(merged, wanted);
  auto& metadata = merged["metadata"];
  if (!metadata.is_object()) metadata = json::object();
  auto& annotations = metadata["annotations"];
  if (!annotations.is_object()) annotations = json::object();
  annotations[std::string{api_names::managed_by_annotation}] = file;
  if (merged == stored) return std::nullopt;
  return merged.dump();
}

} // namespace veranda::logic
