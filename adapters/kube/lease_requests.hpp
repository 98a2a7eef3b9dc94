#pragma once

#include "actors/logic/elector.hpp"
#include "adapters/kube/api_answer.hpp"

namespace veranda::kube {

/// `coordination.k8s.io/v1`.
[[nodiscard]] const resource_type& leases();

// One Lease, by name. Pure. Requests are given up after `timeout`, and answers beyond 256 KiB not taken.

[[nodiscard]] api_request read_lease_request(const object_key& key, std::chrono::milliseconds timeout);
[[nodiscard]] api_request create_lease_request(const object_key& key, const logic::lease_create& what);
/// Holds for the version of the base, whose labels and other fields are kept.
[[nodiscard]] api_request replace_lease_request(const object_key& key, const logic::lease_replace& what);

/// The Lease in `json`. Fields that are missing or null are as in an empty record; `unavailable` when it is something else than a Lease with a version, or a field
/// has another type.
result<logic::lease_object> decode_lease(std::string json, const object_key& key);

// What answers mean.

/// Nothing when the Lease is not there.
result<std::optional<logic::lease_object>> lease_of(result<api_answer> answer, const api_request& request, const object_key& key);
/// As it was stored.
result<logic::lease_object> stored_lease(result<api_answer> answer, const api_request& request, const object_key& key);

/// Kubernetes' MicroTime, `2026-03-10T10:07:30.123456Z`.
[[nodiscard]] std::string format_micro_time(wall_time t);

} // namespace veranda::kube
