#include "adapters/api/discovery_documents.hpp"

#include "adapters/api/status.hpp"

#include <nlohmann/json.hpp>

namespace veranda::api {
namespace {

using nlohmann::json;

const std::string version{api_names::version};

json verbs_of(const kind_info& k) {
  return k.writable ? json{"get", "list", "watch", "create", "update", "patch", "delete"} : json{"get", "list", "watch"};
}

json names_json(const std::vector<std::string_view>& names) {
  json out = json::array();
  for (const auto n : names)
    out.push_back(std::string{n});
  return out;
}

json group_json(std::string_view group) {
  const json gv{{"groupVersion", std::string{group} + "/" + version}, {"version", version}};
  return {{"name", std::string{group}}, {"versions", json::array({gv})}, {"preferredVersion", gv}};
}

/// The groups in the order of their names, each with its kinds.
constexpr std::array<std::string_view, 2> groups{api_names::config_group, api_names::porch_group};

json aggregated_resource(const kind_info& k) {
  const json response{{"group", k.group}, {"version", version}, {"kind", k.kind}};
  json r{{"resource", k.plural},     {"responseKind", response}, {"scope", "Namespaced"}, {"singularResource", k.singular},
         {"verbs", verbs_of(k)},     {"categories", json::array()}};
  if (!k.short_names.empty())
    r["shortNames"] = names_json(k.short_names);
  if (k.writable)
    r["subresources"] = json::array({{{"subresource", "status"}, {"responseKind", response}, {"verbs", json{"get"}}}});
  return r;
}

json aggregated_groups() {
  json items = json::array();
  for (const auto group : groups) {
    json resources = json::array();
    for (const auto& k : all_kinds())
      if (k.group == group)
        resources.push_back(aggregated_resource(k));
    const json v{{"version", version}, {"freshness", "Current"}, {"resources", resources}};
    items.push_back({{"metadata", {{"name", group}}}, {"versions", json::array({v})}});
  }
  return items;
}

/// `v2` or `v2beta1` when the client asks for the aggregated form, else empty.
std::string aggregated_version(std::string_view accept) {
  if (accept.find("as=APIGroupDiscoveryList") == std::string_view::npos)
    return {};
  if (accept.find("v=v2;") != std::string_view::npos)
    return "v2";
  return accept.find("v=v2beta1;") != std::string_view::npos ? "v2beta1" : "";
}

reply json_reply(const json& j) {
  reply out;
  out.body = j.dump();
  out.headers.emplace_back("Vary", "Accept");
  return out;
}

reply aggregated(const std::string& v, json items) {
  auto out = json_reply({{"kind", "APIGroupDiscoveryList"},
                         {"apiVersion", "apidiscovery.k8s.io/" + v},
                         {"metadata", json::object()},
                         {"items", std::move(items)}});
  out.content_type = "application/json;g=apidiscovery.k8s.io;v=" + v + ";as=APIGroupDiscoveryList";
  return out;
}

reply legacy_resources(const std::string& group) {
  json resources = json::array();
  for (const auto& k : all_kinds()) {
    if (k.group != group)
      continue;
    json r{{"name", k.plural}, {"singularName", k.singular}, {"namespaced", true}, {"kind", k.kind}, {"verbs", verbs_of(k)}};
    if (!k.short_names.empty())
      r["shortNames"] = names_json(k.short_names);
    resources.push_back(std::move(r));
    if (k.writable)
      resources.push_back({{"name", std::string{k.plural} + "/status"}, {"singularName", ""}, {"namespaced", true}, {"kind", k.kind}, {"verbs", json{"get"}}});
  }
  return json_reply({{"kind", "APIResourceList"}, {"apiVersion", "v1"}, {"groupVersion", group + "/" + version}, {"resources", resources}});
}

} // namespace

reply discovery_document(const route& r, std::string_view accept) {
  const auto v = aggregated_version(accept);
  switch (r.where) {
  case endpoint::api_versions:
    return v.empty() ? json_reply({{"kind", "APIVersions"}, {"versions", json::array()}, {"serverAddressByClientCIDRs", json::array()}})
                     : aggregated(v, json::array());
  case endpoint::api_groups: {
    if (!v.empty())
      return aggregated(v, aggregated_groups());
    json list = json::array();
    for (const auto g : groups)
      list.push_back(group_json(g));
    return json_reply({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", list}});
  }
  case endpoint::api_group: {
    auto group = group_json(r.group);
    group["kind"] = "APIGroup";
    group["apiVersion"] = "v1";
    return json_reply(group);
  }
  case endpoint::api_resources:
    return legacy_resources(r.group);
  case endpoint::version:
    return json_reply({{"major", "1"}, {"minor", "30"}, {"gitVersion", "v1.30.0+veranda"}, {"platform", "linux"}});
  default:
    return not_found_reply({});
  }
}

} // namespace veranda::api
