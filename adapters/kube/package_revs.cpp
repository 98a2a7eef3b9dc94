#include "adapters/kube/package_revs.hpp"

#include "adapters/codec/json_writer.hpp"
#include "messages/model/digest.hpp"
#include "messages/model/repository.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <span>

namespace veranda::kube {

namespace {

using nlohmann::json;

/// Names of the annotations that are ours, whether an object has them or not.
constexpr std::array annotation_names{"veranda.dev/commit", "veranda.dev/latest",   "veranda.dev/lifecycle", "veranda.dev/package",
                                      "veranda.dev/ref",    "veranda.dev/revision", "veranda.dev/tree",      "veranda.dev/workspace"};
constexpr const char* porch_api = "porch.kpt.dev/v1alpha1";

std::string text_of(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

const json& member(const json& object, std::string_view name) {
  static const json nothing;
  if (!object.is_object())
    return nothing;
  const auto at = object.find(name);
  return at == object.end() ? nothing : *at;
}

std::string text_member(const json& object, std::string_view name) {
  const auto& found = member(object, name);
  return found.is_string() ? found.get<std::string>() : std::string{};
}

/// Whether an owner is one that we, or Porch, gave to the object called `name`.
bool is_our_owner(const json& reference, const std::string& name) {
  const auto api = text_member(reference, "apiVersion");
  const auto kind = text_member(reference, "kind");
  return (kind == repositories().kind && api.starts_with(repositories().group + "/")) ||
         (kind == "PackageRevision" && api.starts_with("porch.kpt.dev/") && text_member(reference, "name") == name);
}

logic::part_digest digest_of(const std::string& repository, bool held, const json& annotations, const json& owners) {
  const auto whole = sha256(text_of(json::array({repository, held, annotations, owners})));
  logic::part_digest out{};
  std::copy_n(whole.begin(), out.size(), out.begin());
  return out;
}

json array_or_empty(const json& j) { return j.is_array() ? j : json::array(); }

json foreign_of(const logic::package_rev_order& order) { return json::parse(order.foreign, nullptr, false); }

/// The part in the form of an object's metadata.
json metadata_of(const package_rev_part& part, const json& foreign) {
  json out;
  out["labels"][std::string{package_rev_repository_label}] = part.label;
  out["annotations"] = part.annotations;
  out["finalizers"] = array_or_empty(member(foreign, "finalizers"));
  out["finalizers"].push_back(package_rev_finalizer);
  out["ownerReferences"] = array_or_empty(member(foreign, "ownerReferences"));
  out["ownerReferences"].insert(out["ownerReferences"].begin(), json::parse(part.owner));
  return out;
}

} // namespace

const resource_type& package_revs() {
  static const resource_type type{std::string{api_names::config_group}, std::string{api_names::version}, "packagerevs", "PackageRev"};
  return type;
}

std::string package_rev_label(const std::string& repository) {
  constexpr std::size_t longest = 63, digest_bytes = 8;
  if (repository.size() <= longest)
    return repository;
  std::string digest;
  const auto whole = sha256(repository);
  for (const auto byte : std::span{whole}.first<digest_bytes>())
    for (const auto digit : {byte >> 4, byte & 15})
      digest += "0123456789abcdef"[digit];
  return repository.substr(0, longest - 1 - digest.size()) + "-" + digest;
}

object_key package_rev_group(const object_key& repository) { return {repository.ns, package_rev_label(repository.name)}; }

package_rev_part part_of(const store::owned_revision& revision, package_rev_owner owner) {
  const auto& r = revision.cached.revision;
  package_rev_part out;
  out.label = package_rev_label(revision.cached.repository.name);
  out.annotations = {{"veranda.dev/lifecycle", std::string{to_string(r.lifecycle)}},
                     {"veranda.dev/package", r.key.package_name()},
                     {"veranda.dev/ref", r.ref},
                     {"veranda.dev/revision", std::to_string(r.key.revision)},
                     {"veranda.dev/tree", r.tree.hex()},
                     {"veranda.dev/workspace", r.key.workspace}};
  if (r.latest)
    out.annotations["veranda.dev/latest"] = "true";
  if (!r.from_branch) // else it is the branch's, which moves
    out.annotations["veranda.dev/commit"] = r.commit.hex();
  for (auto& [name, value] : out.annotations)
    if (!codec::valid_utf8(value))
      value = codec::to_valid_utf8(value);
  const json reference = owner == package_rev_owner::repository
                           ? json{{"apiVersion", repositories().api_version()}, {"kind", repositories().kind}, {"name", revision.cached.repository.name}, {"uid", revision.repository_uid}}
                           : json{{"apiVersion", porch_api}, {"kind", "PackageRevision"}, {"name", r.name}, {"uid", r.uid}};
  out.owner = text_of(reference);
  return out;
}

logic::part_digest digest_of(const package_rev_part& part) { return digest_of(part.label, true, part.annotations, json::array({json::parse(part.owner)})); }

std::vector<std::string> foreign_finalizers(const std::string& foreign) {
  std::vector<std::string> out;
  const json all = json::parse(foreign, nullptr, false);
  for (const auto& finalizer : array_or_empty(member(all, "finalizers")))
    if (finalizer.is_string())
      out.push_back(finalizer.get<std::string>());
  return out;
}

logic::package_rev_view view_of(const api_object& object) {
  logic::package_rev_view out;
  out.uid = object.uid;
  out.resource_version = object.resource_version;
  const json whole = json::parse(object.json, nullptr, false);
  const auto& metadata = member(whole, "metadata");
  out.repository = text_member(member(metadata, "labels"), package_rev_repository_label);
  out.terminating = member(metadata, "deletionTimestamp").is_string();
  json annotations = json::object();
  const auto& all = member(metadata, "annotations");
  for (const auto* name : annotation_names)
    if (const auto& value = member(all, name); value.is_string())
      annotations[name] = value;
  json owners = json::array();
  json foreign = json::object();
  for (const auto& reference : array_or_empty(member(metadata, "ownerReferences")))
    (is_our_owner(reference, object.key.name) ? owners : foreign["ownerReferences"]).push_back(reference);
  const bool owned = std::ranges::any_of(owners, [](const json& reference) { return text_member(reference, "kind") == repositories().kind; });
  for (const auto& finalizer : array_or_empty(member(metadata, "finalizers")))
    if (finalizer == package_rev_finalizer)
      out.held = true;
    else
      foreign["finalizers"].push_back(finalizer);
  out.mine = owned || !annotations.empty();
  out.ended = out.terminating && !out.held && !foreign.contains("finalizers");
  out.digest = digest_of(out.repository, out.held, annotations, owners);
  if (!foreign.empty())
    out.foreign = text_of(foreign);
  return out;
}

api_request create_package_rev(const object_key& key, const package_rev_part& part) {
  json object{{"apiVersion", package_revs().api_version()}, {"kind", package_revs().kind}, {"metadata", metadata_of(part, {})}};
  object["metadata"]["name"] = key.name;
  object["metadata"]["namespace"] = key.ns;
  auto out = create_request(package_revs(), key.ns, text_of(object));
  out.object = package_revs().name() + " " + to_string(key);
  return out;
}

api_request patch_package_rev(const logic::package_rev_order& order, const package_rev_part& part) {
  json change{{"metadata", metadata_of(part, foreign_of(order))}};
  change["metadata"]["uid"] = order.uid;
  change["metadata"]["resourceVersion"] = order.resource_version;
  for (const auto* name : annotation_names)
    if (!part.annotations.contains(name))
      change["metadata"]["annotations"][name] = nullptr;
  return merge_patch_request(package_revs(), order.key, {}, text_of(change));
}

api_request release_package_rev(const logic::package_rev_order& order) {
  return finalizers_patch_request(package_revs(), order.key, {order.uid, order.resource_version}, foreign_finalizers(order.foreign));
}

api_request remove_package_rev(const logic::package_rev_order& order) { return delete_request(package_revs(), order.key, {order.uid, {}}); }

} // namespace veranda::kube
