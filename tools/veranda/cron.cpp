#include "actors/logic/cron.hpp"
#include "tools/veranda/commands.hpp"

#include <cctz/time_zone.h>

#include <iostream>

namespace veranda::cli {
namespace {

/// The zone that times are printed in: `--tz`, else the offset of `--from`, else UTC.
cctz::time_zone print_zone(const cron_options& o) {
  cctz::time_zone zone = cctz::utc_time_zone();
  if (!o.zone.empty()) {
    cctz::load_time_zone(o.zone, &zone);
    return zone;
  }
  if (o.from.size() > 6 && (o.from[o.from.size() - 6] == '+' || o.from[o.from.size() - 6] == '-')) {
    const auto offset = o.from.substr(o.from.size() - 6);
    const auto minutes = std::stoi(offset.substr(1, 2)) * 60 + std::stoi(offset.substr(4, 2));
    return cctz::fixed_time_zone(std::chrono::minutes{offset.front() == '-' ? -minutes : minutes});
  }
  return zone;
}

std::string print(wall_time t, const cctz::time_zone& zone) {
  const auto text = cctz::format("%Y-%m-%dT%H:%M:%S%Ez", t, zone);
  return text.ends_with("+00:00") ? text.substr(0, text.size() - 6) + "Z" : text;
}

int refuse(const cron_options& o, const std::string& why) {
  if (o.output == "json")
    std::cout << json{{"error", why}}.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  else
    std::cerr << "error: " << printable(why) << '\n';
  return exit_error;
}

} // namespace

int run_cron_next(const cron_options& o) {
  if (!o.zone.empty() && !logic::time_zone_exists(o.zone))
    return refuse(o, "--tz: unknown time zone " + o.zone);
  const auto from = o.from.empty() ? std::optional{std::chrono::system_clock::now()} : parse_rfc3339(o.from);
  if (!from)
    return refuse(o, "--from: must be a time like 2026-03-10T10:07:30Z");
  const auto schedule = logic::cron_schedule::parse(o.expression, o.zone.empty() ? "UTC" : o.zone);
  if (!schedule)
    return refuse(o, describe(schedule.error()));
  const auto zone = print_zone(o);
  json next = json::array();
  for (auto at = schedule->next(*from); at && next.size() < static_cast<std::size_t>(o.count); at = schedule->next(*at))
    next.push_back(print(*at, zone));
  if (o.output == "json") {
    std::cout << json{{"expr", o.expression}, {"next", next}}.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    return exit_ok;
  }
  for (const auto& t : next)
    std::cout << t.get<std::string>() << '\n';
  if (next.empty())
    std::cerr << "never within five years\n";
  return exit_ok;
}

} // namespace veranda::cli
