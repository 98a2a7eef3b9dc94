#include "adapters/source/manifest_sync.hpp"

#include "adapters/codec/names.hpp"
#include "adapters/codec/repository_codec.hpp"
#include "adapters/source/manifest_file.hpp"
#include "messages/model/repository.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace veranda::source {
namespace {

using nlohmann::json;
using object_id = std::pair<std::string, object_key>;

/// A stored object and what its metadata says about its file.
struct live_object {
  const store::stored_object* stored = nullptr;
  std::string file;         ///< empty: not managed
  std::string last_applied; ///< empty: never
  bool deleting = false;
};

std::string annotation(const json& object, std::string_view name) {
  const json::json_pointer path = json::json_pointer{"/metadata/annotations"} / std::string{name};
  return object.contains(path) && object[path].is_string() ? object[path].get<std::string>() : std::string{};
}

live_object read_live(const store::stored_object& stored) {
  const json object = json::parse(stored.json, nullptr, false);
  live_object out{.stored = &stored, .file = annotation(object, api_names::managed_by_annotation), .last_applied = annotation(object, last_applied_annotation)};
  out.deleting = object.contains(json::json_pointer{"/metadata/deletionTimestamp"});
  return out;
}

/// The file's object with the note of what the file says, for the next three-way merge.
std::string with_note(const manifest_object& object) {
  json desired = json::parse(object.json);
  json& notes = desired["metadata"]["annotations"];
  if (!notes.is_object())
    notes = json::object();
  notes[std::string{last_applied_annotation}] = object.json;
  return desired.dump();
}

std::string with_preconditions(const std::string& text, const store::stored_object& live) {
  json object = json::parse(text);
  object["metadata"]["uid"] = live.uid;
  object["metadata"]["resourceVersion"] = std::to_string(live.resource_version);
  return object.dump();
}

/// Whether what is stored of an object keeps its rules, so that an invalid file must not replace it.
bool stored_valid(const store::stored_object& stored) {
  const auto decoded = codec::decode_repository(stored.json);
  return decoded && decoded->problems.empty();
}

std::optional<manifest_write> write_for(const manifest_object& wanted, const live_object* live, const merge_function& merge) {
  const std::string desired = with_note(wanted);
  if (live == nullptr) {
    auto merged = merge({}, desired, {}, wanted.file);
    return manifest_write{write_kind::create, wanted.resource, wanted.key, merged ? *std::move(merged) : desired};
  }
  if (live->deleting || (!wanted.valid && stored_valid(*live->stored)))
    return std::nullopt;
  const auto merged = merge(live->last_applied, desired, live->stored->json, wanted.file);
  if (!merged)
    return std::nullopt;
  return manifest_write{write_kind::update, wanted.resource, wanted.key, with_preconditions(*merged, *live->stored)};
}

/// Why removals must wait; empty when they need not.
std::string hold_reason(const manifest_state& state, std::size_t removals, std::size_t managed, const plan_options& options) {
  const std::string count = "DeletionHeld: " + std::to_string(removals) + " of " + std::to_string(managed) + " objects from files are kept: ";
  if (state.directory_missing)
    return count + "the manifest directory is missing; put it back (an empty one to remove them all)";
  if (state.incomplete)
    return count + "the manifest directory could not be read as a whole; make it readable";
  if (removals >= options.hold_at_least && removals * 100 > managed * options.hold_percent)
    return count + "their files went, which would take away more than " + std::to_string(options.hold_percent) + "% at once; put them back" +
           (options.release.empty() ? "" : ", or remove the objects with: " + options.release);
  return {};
}

void plan_removals(const manifest_state& state, const std::map<object_id, live_object>& live, const plan_options& options, manifest_plan& out) {
  std::vector<manifest_write> removals;
  std::size_t managed = 0;
  std::set<object_id> wanted_ids;
  for (const auto& object : state.objects)
    wanted_ids.emplace(object.resource, object.key);
  for (const auto& [id, object] : live) {
    if (object.file.empty())
      continue;
    ++managed;
    const bool wanted = wanted_ids.contains(id);
    const bool unreadable = std::binary_search(state.unreadable_files.begin(), state.unreadable_files.end(), object.file);
    if (!wanted && !unreadable && !object.deleting)
      removals.push_back({write_kind::remove, id.first, id.second, {}});
  }
  const std::string why = removals.empty() || (options.allow_deletion && !state.directory_missing && !state.incomplete)
                              ? std::string{}
                              : hold_reason(state, removals.size(), managed, options);
  if (why.empty()) {
    out.writes.insert(out.writes.end(), removals.begin(), removals.end());
    return;
  }
  out.held = removals.size();
  out.problems.push_back({.file = {}, .document = 0, .object = {}, .field = {}, .value = {}, .rule = why});
}

} // namespace

manifest_plan plan(const manifest_state& state, const std::vector<store::stored_object>& stored, const merge_function& merge, const plan_options& options) {
  std::map<object_id, live_object> live;
  for (const auto& object : stored)
    live.emplace(object_id{object.resource, object.key}, read_live(object));
  manifest_plan out;
  out.problems = state.problems;
  for (const auto& wanted : state.objects) {
    const auto it = live.find({wanted.resource, wanted.key});
    if (auto write = write_for(wanted, it == live.end() ? nullptr : &it->second, merge))
      out.writes.push_back(*std::move(write));
  }
  plan_removals(state, live, options, out);
  std::sort(out.problems.begin(), out.problems.end());
  return out;
}

std::string managed_by(const std::string& text) {
  return annotation(json::parse(text, nullptr, false), api_names::managed_by_annotation);
}

failure managed_refusal(const std::string& resource, const object_key& key, const std::string& file) {
  const std::string kind = resource == secrets_resource ? "Secret " : "Repository ";
  return {ec::conflict, "is managed by the file " + codec::shorten(file) + " of the manifest directory; change it there", kind + to_string(key), {}, std::nullopt};
}

} // namespace veranda::source
