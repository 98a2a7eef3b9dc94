#include "adapters/kube/event_requests.hpp"

#include "messages/model/time.hpp"

#include <nlohmann/json.hpp>

namespace veranda::kube {

namespace {

using nlohmann::json;

constexpr const char* component = "verandad";
constexpr std::size_t max_message_bytes = 1024; ///< what events.k8s.io takes as a note

/// Cut at a character.
std::string shortened(std::string text) {
  if (text.size() <= max_message_bytes) return text;
  std::size_t end = max_message_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + "...";
}

std::string text_of(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

} // namespace

const resource_type& events() {
  static const resource_type type{"", "v1", "events", "Event"};
  return type;
}

api_request create_event_request(const logic::event_record& record) {
  const auto& [key, uid, warning, reason, message] = record.what;
  const json event{{"apiVersion", "v1"},
                   {"kind", "Event"},
                   {"metadata", {{"name", record.name}, {"namespace", key.ns}}},
                   {"involvedObject",
                    {{"apiVersion", repositories().api_version()}, {"kind", repositories().kind}, {"namespace", key.ns}, {"name", key.name}, {"uid", uid}}},
                   {"type", warning ? "Warning" : "Normal"},
                   {"reason", reason},
                   {"message", shortened(message)},
                   {"source", {{"component", component}}},
                   {"reportingComponent", component},
                   {"reportingInstance", ""},
                   {"firstTimestamp", format_rfc3339(record.first)},
                   {"lastTimestamp", format_rfc3339(record.last)},
                   {"count", record.count}};
  return create_request(events(), key.ns, text_of(event));
}

api_request repeat_event_request(const logic::event_record& record) {
  const json change{{"count", record.count}, {"lastTimestamp", format_rfc3339(record.last)}, {"message", shortened(record.what.message)}};
  return merge_patch_request(events(), {record.what.key.ns, record.name}, {}, text_of(change));
}

} // namespace veranda::kube
