#include "adapters/kube/status_patch.hpp"

#include "actors/logic/condition_builder.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace veranda::kube {

namespace {

using nlohmann::json;
using namespace logic::condition_types;

constexpr std::array our_types{ready, reconciling, stalled, packages_degraded, deletion_held, schedule_invalid, repository_conflict};
constexpr std::array our_fields{"lastFullSyncTime", "nextFullSyncTime", "nextSyncCause",          "observedGeneration", "observedRunOnceAt",
                                "packageCount",     "gitCommitHash",    "lastHandledSyncRequest", "fence",
                                "deletionPermit"};
constexpr std::size_t max_foreign = 64;

std::string type_of(const json& c) {
  const auto type = c.is_object() ? c.find("type") : c.end();
  return c.is_object() && type != c.end() && type->is_string() ? type->get<std::string>() : std::string{};
}

bool is_foreign(const json& c) {
  const auto type = type_of(c);
  return !type.empty() && std::ranges::find(our_types, type) == our_types.end();
}

std::string text_of(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

json conditions_of(std::string_view object_json) {
  const json object = json::parse(object_json, nullptr, false);
  if (!object.is_object()) return json::array();
  const auto status = object.find("status");
  if (status == object.end() || !status->is_object()) return json::array();
  const auto all = status->find("conditions");
  return all != status->end() && all->is_array() ? *all : json::array();
}

} // namespace

std::string told_conditions(std::string_view object_json) {
  const auto all = conditions_of(object_json);
  std::string out;
  for (const auto type : {ready, deletion_held})
    if (const auto found = std::ranges::find(all, type, type_of); found != all.end())
      out.append(out.empty() ? "" : ",").append(text_of(*found));
  return out;
}

std::string foreign_conditions(std::string_view object_json) {
  json out = json::array();
  for (const auto& c : conditions_of(object_json))
    if (is_foreign(c) && out.size() < max_foreign) out.push_back(c);
  return out.empty() ? std::string{} : text_of(out);
}

std::string status_patch(std::string_view status_json, std::string_view foreign) {
  json status = json::parse(status_json, nullptr, false);
  if (!status.is_object()) status = json::object();
  for (const auto* field : our_fields)
    if (!status.contains(field)) status[field] = nullptr;
  auto& conditions = status["conditions"];
  if (!conditions.is_array()) conditions = json::array();
  const json others = json::parse(foreign, nullptr, false);
  if (others.is_array())
    std::ranges::copy_if(others, std::back_inserter(conditions), is_foreign);
  return text_of(status);
}

} // namespace veranda::kube
