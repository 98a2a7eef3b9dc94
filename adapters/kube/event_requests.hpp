#pragma once

#include "actors/logic/event_aggregator.hpp"
#include "adapters/kube/api_request.hpp"

namespace veranda::kube {

/// core/v1 events.
[[nodiscard]] const resource_type& events();

/// Makes the Event about a Repository object. Pure.
[[nodiscard]] api_request create_event_request(const logic::event_record& record);
/// Raises the count of the Event that is there. Pure.
[[nodiscard]] api_request repeat_event_request(const logic::event_record& record);

} // namespace veranda::kube
