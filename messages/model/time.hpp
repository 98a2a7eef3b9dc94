#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace veranda {

/// Wall-clock instant, UTC. Only for stored or published stamps and schedules.
using wall_time = std::chrono::system_clock::time_point;

/// RFC 3339 in UTC with second precision, `2026-03-10T10:07:30Z`.
[[nodiscard]] std::string format_rfc3339(wall_time t);

/// Parses RFC 3339 (date, `T`, time, optional fraction, `Z` or offset). Nothing when malformed or out of range
/// (years 1 to 9999).
[[nodiscard]] std::optional<wall_time> parse_rfc3339(std::string_view text);

/// Kubernetes' human duration (`5s`, `2m30s`, `3h`, `2d4h`, ...), as kubectl prints ages.
[[nodiscard]] std::string human_duration(std::chrono::seconds d);

/// Go's duration syntax (`1h30m`, `250ms`, `-1.5h`); nothing when malformed or beyond 290 years.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text);

/// Go's `Duration.String()` without sub-second noise above one second: `1h0m0s`, `90s` gives `1m30s`.
[[nodiscard]] std::string format_go_duration(std::chrono::nanoseconds d);

} // namespace veranda
