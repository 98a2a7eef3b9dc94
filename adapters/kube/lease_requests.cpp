#include "adapters/kube/lease_requests.hpp"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace veranda::kube {

namespace {

using nlohmann::json;
using logic::lease_object;
using logic::lease_record;

constexpr std::size_t max_lease_bytes = 256U << 10U;

std::string text_of(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

api_request bounded(api_request request, std::chrono::milliseconds timeout) {
  request.timeout = timeout;
  request.max_bytes = max_lease_bytes;
  return request;
}

void write(json& spec, const lease_record& record) {
  spec["holderIdentity"] = record.holder;
  spec["leaseDurationSeconds"] = record.duration_seconds;
  spec["leaseTransitions"] = record.transitions;
  for (const auto& [name, time] : {std::pair{"acquireTime", record.acquired}, {"renewTime", record.renewed}})
    if (time) spec[name] = format_micro_time(*time);
    else spec.erase(name);
}

/// A member that an object may leave out; null when it does.
const json& member(const json& from, const char* name) {
  static const json nothing;
  const auto found = from.find(name);
  return found == from.end() ? nothing : *found;
}

/// False when it is there and no text.
bool read(const json& from, std::string& to) {
  if (from.is_string()) to = from.get<std::string>();
  return from.is_string() || from.is_null();
}
bool read(const json& from, std::int64_t& to) {
  if (from.is_number_integer()) to = from.get<std::int64_t>();
  return from.is_number_integer() || from.is_null();
}
bool read(const json& from, std::optional<wall_time>& to) {
  if (from.is_string()) to = parse_rfc3339(from.get_ref<const std::string&>());
  return to.has_value() || from.is_null();
}

failure not_a_lease(const object_key& key, const char* what) {
  return {ec::unavailable, std::string{"the API server answered with something else than a Lease: "} + what, leases().name() + " " + to_string(key), {}, {}};
}

} // namespace

const resource_type& leases() {
  static const resource_type type{"coordination.k8s.io", "v1", "leases", "Lease"};
  return type;
}

std::string format_micro_time(wall_time t) {
  const auto micros = std::chrono::floor<std::chrono::microseconds>(t.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(micros);
  auto out = format_rfc3339(wall_time{seconds});
  std::array<char, 16> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%06lld", static_cast<long long>((micros - seconds).count()));
  out.insert(out.size() - 1, fraction.data());
  return out;
}

api_request read_lease_request(const object_key& key, std::chrono::milliseconds timeout) { return bounded(get_request(leases(), key), timeout); }

api_request create_lease_request(const object_key& key, const logic::lease_create& what) {
  json lease{{"apiVersion", leases().api_version()}, {"kind", leases().kind}, {"metadata", {{"namespace", key.ns}, {"name", key.name}}}, {"spec", json::object()}};
  write(lease["spec"], what.record);
  auto out = bounded(create_request(leases(), key.ns, text_of(lease)), what.timeout);
  out.object = leases().name() + " " + to_string(key);
  return out;
}

api_request replace_lease_request(const object_key& key, const logic::lease_replace& what) {
  auto lease = json::parse(what.base.json, nullptr, false);
  if (!lease.is_object()) lease = json::object();
  lease["apiVersion"] = leases().api_version();
  lease["kind"] = leases().kind;
  for (const auto* name : {"metadata", "spec"})
    if (!lease[name].is_object()) lease[name] = json::object();
  auto& metadata = lease["metadata"];
  metadata.erase("managedFields"); // the server knows them, and they are the larger part
  metadata["namespace"] = key.ns;
  metadata["name"] = key.name;
  metadata["uid"] = what.base.uid;
  metadata["resourceVersion"] = what.base.resource_version;
  write(lease["spec"], what.record);
  return bounded(replace_request(leases(), key, text_of(lease)), what.timeout);
}

result<lease_object> decode_lease(std::string text, const object_key& key) {
  const auto lease = json::parse(text, nullptr, false);
  std::string kind, name;
  if (!lease.is_object() || !read(member(lease, "kind"), kind) || kind != leases().kind) return not_a_lease(key, "another kind");
  lease_object out;
  const auto& metadata = member(lease, "metadata");
  const bool known = metadata.is_object() && read(member(metadata, "name"), name) && read(member(metadata, "uid"), out.uid) &&
                     read(member(metadata, "resourceVersion"), out.resource_version);
  if (!known || name != key.name || out.resource_version.empty()) return not_a_lease(key, "another name, or no version");
  const auto& spec = member(lease, "spec");
  auto& r = out.record;
  const bool read_all = spec.is_null() || (spec.is_object() && read(member(spec, "holderIdentity"), r.holder) && read(member(spec, "leaseDurationSeconds"), r.duration_seconds) &&
                                           read(member(spec, "acquireTime"), r.acquired) && read(member(spec, "renewTime"), r.renewed) &&
                                           read(member(spec, "leaseTransitions"), r.transitions));
  if (!read_all) return not_a_lease(key, "a field of another type");
  out.json = std::move(text);
  return out;
}

result<lease_object> stored_lease(result<api_answer> answer, const api_request& request, const object_key& key) {
  if (!answer) return answer.error();
  auto body = body_of(*std::move(answer), request);
  if (!body) return body.error();
  return decode_lease(*std::move(body), key);
}

result<std::optional<lease_object>> lease_of(result<api_answer> answer, const api_request& request, const object_key& key) {
  // Only what an API server says of this name: a group that it does not serve, and a web page, are no Lease that is missing.
  if (answer && answer->status == 404)
    if (const auto status = parse_status(answer->body); status && !status->name.empty()) return std::optional<lease_object>{};
  auto lease = stored_lease(std::move(answer), request, key);
  if (!lease) return lease.error();
  return std::optional<lease_object>{*std::move(lease)};
}

} // namespace veranda::kube
