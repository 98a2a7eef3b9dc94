#pragma once

#include "messages/model/time.hpp"

#include <optional>
#include <string>

namespace veranda::git {

/// What an answer says about how often its sender wants to be asked; empty texts are headers that are not there.
struct budget_headers {
  std::string retry_after; ///< `Retry-After`: seconds, or a date (RFC 9110 10.2.3)
  std::string remaining;   ///< `RateLimit-Remaining` or `X-RateLimit-Remaining`: requests that are left
  std::string reset;       ///< `RateLimit-Reset` or `X-RateLimit-Reset`: Unix time, or seconds from now
};

/// How long the sender of an answer wants to be left alone; nothing when it does not say so. At most a day. Pure. With status 429 and 503 `Retry-After` counts, and with 403
/// when the budget is used up or a time is given, which is how GitHub refuses; with 429 the reset of the budget, too. With any other status a used-up budget.
[[nodiscard]] std::optional<std::chrono::milliseconds> pause_of(long status, const budget_headers& headers, wall_time now);

} // namespace veranda::git
