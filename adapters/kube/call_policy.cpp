#include "adapters/kube/call_policy.hpp"

namespace veranda::kube {

namespace {

constexpr unsigned max_waits = 10;
constexpr unsigned max_reconnects = 2;
constexpr std::chrono::seconds reconnect_pause{1};

} // namespace

std::optional<std::chrono::milliseconds> repeat_after(const api_request& request, const result<api_answer>& answer, unsigned tries) {
  if (!answer) {
    const bool broke = answer.error().code == ec::unreachable || answer.error().code == ec::unavailable;
    if (broke && !request.changes_something() && tries < max_reconnects) return reconnect_pause;
    return std::nullopt;
  }
  // A server that waits for a version from the future asks for patience; it may be one that will never come, and whoever asked must know.
  if (answer->status == 504)
    if (const auto status = parse_status(answer->body); status && status->has_cause("ResourceVersionTooLarge")) return std::nullopt;
  if (answer->retry_after && (answer->status == 429 || answer->status >= 500) && tries <= max_waits) return answer->retry_after;
  return std::nullopt;
}

} // namespace veranda::kube
