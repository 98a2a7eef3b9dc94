#include "adapters/git/rate_limit.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace veranda::git {

namespace {

constexpr std::int64_t longest = 86'400;         ///< seconds
constexpr std::int64_t unix_times_begin = 1'000'000'000; ///< less is a number of seconds from now: nobody waits 30 years

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem == std::errc::result_out_of_range && !text.starts_with('-')) return longest;
  if (problem != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::int64_t unix_seconds(wall_time t) { return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count(); }

/// Seconds to wait.
std::optional<std::int64_t> retry_after(const std::string& text, wall_time now) {
  if (text.empty()) return std::nullopt;
  if (const auto seconds = number(text)) return seconds;
  const auto date = curl_getdate(text.c_str(), nullptr);
  if (date == -1) return std::nullopt;
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(date) - unix_seconds(now));
}

std::optional<std::int64_t> until_reset(const std::string& text, wall_time now) {
  const auto value = number(text);
  if (!value || *value < unix_times_begin) return value;
  return std::max<std::int64_t>(0, *value - unix_seconds(now));
}

std::optional<std::int64_t> seconds_of(long status, const budget_headers& h, wall_time now) {
  const bool used_up = number(h.remaining) == std::optional<std::int64_t>{0};
  if (status == 429 || status == 503 || status == 403) {
    if (const auto asked = retry_after(h.retry_after, now)) return asked;
  }
  if (status == 429 || used_up) return until_reset(h.reset, now);
  return std::nullopt;
}

} // namespace

std::optional<std::chrono::milliseconds> pause_of(long status, const budget_headers& headers, wall_time now) {
  const auto seconds = seconds_of(status, headers, now);
  if (!seconds || *seconds == 0) return std::nullopt;
  return std::chrono::seconds{std::min(*seconds, longest)};
}

} // namespace veranda::git
