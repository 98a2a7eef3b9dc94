#include "actors/logic/cron.hpp"

#include "actors/logic/cron_parser.hpp"
#include "actors/logic/time_zones.hpp"

#include <cctz/civil_time.h>

#include <bit>

namespace veranda::logic {

namespace {

using instant = cctz::time_point<cctz::seconds>;
using std::chrono::hours;
using std::chrono::seconds;

/// robfig/cron looks five calendar years ahead.
constexpr int search_years = 5;
/// Far above what any real zone needs; ends the search whatever a damaged zone file says.
constexpr int max_steps = 100'000;

bool has(std::uint64_t set, int value) noexcept { return (set >> value & 1U) != 0; }

bool matches_day(const cron_fields& f, cctz::civil_day day) {
  if (!has(f.month, day.month()))
    return false;
  const int weekday = (static_cast<int>(cctz::get_weekday(day)) + 1) % 7; // cctz counts from Monday
  const bool by_month = has(f.day_of_month, day.day());
  const bool by_week = has(f.day_of_week, weekday);
  return f.day_of_month_star || f.day_of_week_star ? by_month && by_week : by_month || by_week;
}

std::optional<cctz::civil_day> next_matching_day(const cron_fields& f, cctz::civil_day day, cctz::year_t last_year) {
  for (++day; day.year() <= last_year;) {
    if (matches_day(f, day))
      return day;
    if (has(f.month, day.month()))
      ++day;
    else
      day = cctz::civil_day{cctz::civil_month{day} + 1};
  }
  return std::nullopt;
}

/// First instant of a day that begins after `t`.
instant start_of(const cctz::time_zone& zone, cctz::civil_day day, instant t) {
  const auto found = zone.lookup(cctz::civil_second{day});
  switch (found.kind) {
  case cctz::time_zone::civil_lookup::SKIPPED: return found.trans;
  case cctz::time_zone::civil_lookup::REPEATED: return found.pre > t ? found.pre : found.post;
  default: return found.pre;
  }
}

/// The latest instant not after `t` at which `t`'s hour begins.
instant hour_start(const cctz::time_zone& zone, cctz::civil_hour hour, instant t) {
  const auto found = zone.lookup(cctz::civil_second{hour});
  return found.post <= t ? found.post : found.pre;
}

/// Minutes to the next matching minute of the hour, or to the next hour.
int minutes_ahead(std::uint64_t set, int minute) noexcept {
  const std::uint64_t later = set >> minute;
  return later == 0 ? 60 - minute : std::countr_zero(later);
}

/// Walks forward field by field. Hours are counted in whole hours from where their day or hour began, so that a clock change by
/// half an hour moves the rest of its day off the full hour, as in robfig/cron.
std::optional<instant> walk(const cron_fields& f, const cctz::time_zone& zone, instant t) {
  const cctz::year_t last_year = zone.lookup(t).cs.year() + search_years;
  bool aligned = false;
  for (int step = 0; step < max_steps; ++step) {
    const cctz::civil_second local = zone.lookup(t).cs;
    if (const cctz::civil_day today{local}; !matches_day(f, today)) {
      const auto day = next_matching_day(f, today, last_year);
      if (!day)
        return std::nullopt;
      t = start_of(zone, *day, t);
    } else if (!has(f.hour, local.hour())) {
      if (!aligned)
        t = hour_start(zone, cctz::civil_hour{local}, t);
      t += hours{1};
    } else if (const int ahead = minutes_ahead(f.minute, local.minute()); ahead != 0) {
      t += seconds{60 * ahead - local.second()};
    } else if (local.second() != 0) {
      t += seconds{60 - local.second()};
    } else {
      return t;
    }
    aligned = true;
  }
  return std::nullopt;
}

/// Nothing beyond what `wall_time` can hold.
std::optional<wall_time> to_wall(instant t) {
  constexpr auto last = std::chrono::floor<seconds>(wall_time::max());
  return t > last ? std::nullopt : std::optional<wall_time>{t};
}

} // namespace

result<cron_schedule> cron_schedule::parse(std::string_view expression, const std::string& default_zone) {
  auto parsed = parse_cron(expression, default_zone);
  if (!parsed)
    return std::move(parsed).error();
  cron_schedule s;
  s.zone_ = std::move(parsed->zone);
  s.fields_ = parsed->fields;
  s.every_ = parsed->every;
  return s;
}

std::optional<wall_time> cron_schedule::next(wall_time t) const {
  const instant second = std::chrono::floor<seconds>(t);
  if (every_ != seconds{0})
    return to_wall(second + every_);
  if (fields_.minute == 0 || fields_.hour == 0) // a field of commas only never matches
    return std::nullopt;
  const auto found = walk(fields_, loaded_zone(zone_), second + seconds{1});
  return found ? to_wall(*found) : std::nullopt;
}

bool time_zone_exists(const std::string& zone) { return load_zone(zone).has_value(); }

} // namespace veranda::logic
