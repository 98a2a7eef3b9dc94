// links: veranda_logic nlohmann_json::nlohmann_json cctz
#define BOOST_TEST_MODULE cron
#include <boost/test/unit_test.hpp>

#include "actors/logic/cron.hpp"

#include <cctz/time_zone.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using veranda::ec;
using veranda::wall_time;
using veranda::logic::cron_schedule;

namespace {

wall_time at(std::string_view text) {
  const auto t = veranda::parse_rfc3339(text);
  BOOST_REQUIRE_MESSAGE(t, "bad stamp in a test: " << text);
  return *t;
}

cron_schedule schedule(std::string_view expression, const std::string& zone = "UTC") {
  auto parsed = cron_schedule::parse(expression, zone);
  BOOST_REQUIRE_MESSAGE(parsed, expression << ": " << (parsed ? "" : parsed.error().what));
  return *parsed;
}

std::string rule_broken_by(std::string_view expression) {
  const auto parsed = cron_schedule::parse(expression);
  BOOST_REQUIRE_MESSAGE(!parsed, "accepted: " << expression);
  BOOST_TEST(static_cast<int>(parsed.error().code) == static_cast<int>(ec::invalid_spec));
  return parsed.error().what;
}

/// Next times as RFC 3339 in UTC; `none` when there is none.
std::vector<std::string> times(const cron_schedule& s, wall_time t, std::size_t count) {
  std::vector<std::string> out;
  while (out.size() < count) {
    const auto next = s.next(t);
    if (!next) {
      out.emplace_back("none");
      break;
    }
    BOOST_REQUIRE(*next > t);
    t = *next;
    out.push_back(veranda::format_rfc3339(t));
  }
  return out;
}

} // namespace

/// Whatever zone the machine is in.
struct in_utc {
  in_utc() { ::setenv("TZ", "UTC", 1); }
};
BOOST_GLOBAL_FIXTURE(in_utc);

// Every vector of robfig/cron: what it answers, what it refuses, and where it panics an error.
BOOST_AUTO_TEST_CASE(the_vectors_of_the_reference) {
  std::ifstream file{std::string{VERANDA_TEST_DATA} + "/cron-vectors.json"};
  const auto vectors = nlohmann::json::parse(file);
  BOOST_REQUIRE(vectors.size() >= 92U);
  for (const auto& v : vectors) {
    const auto expression = v.at("expr").get<std::string>();
    BOOST_TEST_CONTEXT(expression << " in " << v.at("from_tz") << " from " << v.at("from")) {
      const auto parsed = cron_schedule::parse(expression, v.at("from_tz").get<std::string>());
      if (v.contains("error")) {
        BOOST_TEST(!parsed.ok());
        continue;
      }
      BOOST_REQUIRE_MESSAGE(parsed.ok(), (parsed ? "" : parsed.error().what));
      auto t = at(v.at("from").get<std::string>());
      for (const auto& expected : v.at("next")) {
        const auto next = parsed->next(t);
        if (expected.get<std::string>().starts_with("0001-01-01")) {
          BOOST_TEST(!next.has_value());
          break;
        }
        BOOST_REQUIRE(next.has_value());
        BOOST_TEST(veranda::format_rfc3339(*next) == veranda::format_rfc3339(at(expected.get<std::string>())));
        t = *next;
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(errors_name_the_field_the_value_and_the_rule) {
  const std::vector<std::pair<std::string, std::string>> table{
      {"", "the cron expression is empty"},
      {"* * * *", "expected exactly 5 fields, found 4: [* * * *]"},
      {"   ", "expected exactly 5 fields, found 0: []"},
      {" @daily", "expected exactly 5 fields, found 1: [@daily]"},
      {"60 * * * *", R"(minute field: "60": 60 is above the maximum 59)"},
      {"* 5-24 * * *", R"(hour field: "5-24": 24 is above the maximum 23)"},
      {"* * 0 * *", R"(day-of-month field: "0": 0 is below the minimum 1)"},
      {"* * * 13 *", R"(month field: "13": 13 is above the maximum 12)"},
      {"* * * * 7", R"(day-of-week field: "7": 7 is above the maximum 6)"},
      {"5-1 * * * *", R"(minute field: "5-1": the range must not descend)"},
      {"1-2-3 * * * *", R"(minute field: "1-2-3": only one "-" is allowed)"},
      {"1/2/3 * * * *", R"(minute field: "1/2/3": only one "/" is allowed)"},
      {"*/0 * * * *", R"(minute field: "*/0": the step must be a positive number)"},
      {"*/-1 * * * *", R"(minute field: "*/-1": the step must be a positive number)"},
      {"* * L * *", R"(day-of-month field: "L": "L" is not a number from 1 to 31)"},
      {"* * * * monday", R"(day-of-week field: "monday": "monday" is not a number from 0 to 6 or one of the names sun to sat)"},
      {"99999999999999999999 * * * *", R"(minute field: "99999999999999999999": "99999999999999999999" is not a number from 0 to 59)"},
      {"\x1b[2J\n* * * *", R"(minute field: "?[2J": "?[2J" is not a number from 0 to 59)"},
      {"TZ=UTC", R"(a time zone prefix must be followed by a space and a schedule, found "TZ=UTC")"},
      {"TZ=UTC\t* * * * *", R"(unknown time zone "UTC?*": must be a name of the IANA zone database, UTC or Local)"},
      {"TZ=Mars/Base * * * * *", R"(unknown time zone "Mars/Base": must be a name of the IANA zone database, UTC or Local)"},
      {"@reboot", R"(unknown descriptor "@reboot": must be @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly or "@every <duration>")"},
      {"@every 1d", R"(@every: "1d" is not a duration such as "90s", "15m" or "1h30m" (units ns, us, ms, s, m, h))"},
  };
  for (const auto& [expression, rule] : table)
    BOOST_TEST(rule_broken_by(expression) == rule);
  BOOST_TEST(rule_broken_by(std::string(5000, '*')) == "the cron expression is longer than 4096 bytes");
  BOOST_TEST(rule_broken_by(std::string(2000, 'x')).size() < 200U);
}

BOOST_AUTO_TEST_CASE(forms_that_mean_the_same) {
  const auto from = at("2026-03-10T10:07:30Z");
  const std::vector<std::pair<std::string, std::string>> table{
      {"1,,2 * * * *", "1,2 * * * *"},
      {"*-5 * * * *", "* * * * *"},
      {"? ? ? ? ?", "* * * * *"},
      {"+5 007 * * *", "5 7 * * *"},
      {"50/3 * * * *", "50-59/3 * * * *"},
      {"0 0 * JAN-Mar sUn", "0 0 * 1-3 0"},
      {"*/1 * * * *", "* * * * *"},
      {"\t0\v0\f1\r1\n* ", "0 0 1 1 *"},
      {"0\u00a00\u20031\u30001 *", "0 0 1 1 *"},
      {"TZ= 0 0 * * *", "TZ=UTC 0 0 * * *"},
      {"CRON_TZ=Europe/Berlin  @daily ", "TZ=Europe/Berlin 0 0 * * *"},
      {"@annually", "0 0 1 1 *"},
      {"@weekly", "0 0 * * 0"},
      {"@every 0.2s", "@every 1s"},
      {"@every -1h", "@every 1s"},
      {"@every 1.9s", "@every 1s"},
      {"0 0 1 1 */9223372036854775807", "0 0 1 1 0"},
  };
  for (const auto& [a, b] : table)
    BOOST_TEST(times(schedule(a), from, 20) == times(schedule(b), from, 20), a << " is not " << b);
}

BOOST_AUTO_TEST_CASE(days_must_both_match_when_one_is_a_star_else_one_suffices) {
  const auto from = at("2026-03-01T00:00:00Z"); // a Sunday
  using list = std::vector<std::string>;
  BOOST_TEST(times(schedule("0 0 13 * *"), from, 1) == list{"2026-03-13T00:00:00Z"});
  BOOST_TEST(times(schedule("0 0 13 * 1"), from, 2) == (list{"2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"}));
  BOOST_TEST(times(schedule("0 0 */2 * 1"), from, 2) == (list{"2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"}));
}

BOOST_AUTO_TEST_CASE(schedules_without_a_next_time) {
  const auto from = at("2026-03-10T10:07:30Z");
  for (const auto* expression : {"0 0 31 2 *", ", * * * *", "* , * * *", "* * , * *", "* * * , *", "* * * * ,", "0 0 30 2 ?"})
    BOOST_TEST(!schedule(expression).next(from).has_value(), expression << " has a next time");
  BOOST_TEST(!schedule("0 0 29 2 *").next(at("2096-03-01T00:00:00Z")).has_value());
  BOOST_TEST(schedule("0 0 29 2 *").next(at("2099-03-01T00:00:00Z")).has_value());
}

BOOST_AUTO_TEST_CASE(zones_come_from_the_database_only) {
  for (const auto* zone : {"UTC", "Local", "", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"})
    BOOST_TEST(veranda::logic::time_zone_exists(zone), zone << " is unknown");
  for (const auto* zone : {"../zoneinfo/Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin", "Europe/../Europe/Berlin", "Europe//Berlin", "Europe/",
                           "Europe", "file:/usr/share/zoneinfo/UTC", "libc:UTC", "Fixed/UTC+05:00:00", "tzdata.zi", "zone.tab", "Europe/Berlin ",
                           "Nowhere", "\\", "."})
    BOOST_TEST(!veranda::logic::time_zone_exists(zone), zone << " is accepted");
  BOOST_TEST(!veranda::logic::time_zone_exists(std::string(1000, 'A')));
  BOOST_TEST(schedule("TZ=Asia/Tokyo @daily", "Europe/Berlin").zone() == "Asia/Tokyo");
  BOOST_TEST(schedule("@daily", "Europe/Berlin").zone() == "Europe/Berlin");
  BOOST_TEST(schedule("@daily", "").zone() == "UTC");
  BOOST_TEST(!cron_schedule::parse("@daily", "Mars/Base").ok());
}

BOOST_AUTO_TEST_CASE(daylight_saving_time_beyond_2037) {
  using list = std::vector<std::string>;
  const auto s = schedule("30 2 * * *", "Europe/Berlin");
  BOOST_TEST(times(s, at("2050-03-26T00:00:00Z"), 3) == (list{"2050-03-26T01:30:00Z", "2050-03-28T00:30:00Z", "2050-03-29T00:30:00Z"}));
  BOOST_TEST(times(s, at("2050-10-29T12:00:00Z"), 3) == (list{"2050-10-30T00:30:00Z", "2050-10-30T01:30:00Z", "2050-10-31T01:30:00Z"}));
}

// The slow and obviously right way: every minute of the span, looked at one by one.
BOOST_AUTO_TEST_CASE(agrees_with_looking_at_every_minute) {
  std::mt19937 random{20260310};
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution{low, high}(random); };
  const std::vector<std::string> zones{"UTC", "America/New_York", "America/Sao_Paulo", "Europe/Berlin", "America/Havana", "Asia/Beirut", "Africa/Cairo"};
  for (int round = 0; round < 21; ++round) {
    const auto zone_name = zones[static_cast<std::size_t>(round) % zones.size()];
    cctz::time_zone zone;
    BOOST_REQUIRE(cctz::load_time_zone(zone_name, &zone));
    const int minute = pick(0, 59), first = pick(0, 3), last = pick(first, 23), dom = pick(1, 28), dow = pick(0, 6);
    const bool with_dom = pick(0, 1) == 1, with_dow = pick(0, 1) == 1;
    const auto expression = std::to_string(minute) + ' ' + std::to_string(first) + '-' + std::to_string(last) + ' ' +
                            (with_dom ? std::to_string(dom) : "*") + " * " + (with_dow ? std::to_string(dow) : "*");
    const auto matches = [&](cctz::time_point<cctz::seconds> t) {
      const auto local = zone.lookup(t).cs;
      const int weekday = (static_cast<int>(cctz::get_weekday(cctz::civil_day{local})) + 1) % 7;
      const bool by_dom = local.day() == dom, by_dow = weekday == dow;
      const bool day = with_dom && with_dow ? by_dom || by_dow : (!with_dom || by_dom) && (!with_dow || by_dow);
      return local.minute() == minute && local.hour() >= first && local.hour() <= last && day;
    };
    const auto s = schedule(expression, zone_name);
    // around the clock changes of spring and of autumn
    for (const auto* from : {"2018-02-14T00:00:17Z", "2026-03-05T00:00:17Z", "2026-10-20T00:00:17Z", "2018-10-31T00:00:17Z"}) {
      const auto begin = at(from);
      const auto end = begin + 24h * 35;
      std::vector<std::string> expected, found;
      for (auto t = std::chrono::ceil<std::chrono::minutes>(begin); t < end; t += 1min)
        if (matches(std::chrono::floor<std::chrono::seconds>(t)))
          expected.push_back(veranda::format_rfc3339(t));
      for (auto t = s.next(begin); t && *t < end; t = s.next(*t))
        found.push_back(veranda::format_rfc3339(*t));
      BOOST_TEST(found == expected, expression << " in " << zone_name << " from " << from);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_hundred_years_of_runs) {
  for (const auto* zone : {"UTC", "Europe/Berlin", "Australia/Lord_Howe"}) {
    const auto s = schedule("30 2 * * *", zone);
    auto t = at("2026-01-01T00:00:00Z");
    int runs = 0;
    for (auto next = s.next(t); next && *next < at("2126-01-01T00:00:00Z"); next = s.next(t)) {
      BOOST_REQUIRE(*next > t);
      t = *next;
      ++runs;
    }
    BOOST_TEST(runs > 36'400);
    BOOST_TEST(runs < 36'700);
  }
}

BOOST_AUTO_TEST_CASE(the_ends_of_time_are_no_times) {
  BOOST_TEST(!schedule("* * * * *").next(wall_time::max()).has_value());
  BOOST_TEST(!schedule("@every 1h").next(wall_time::max()).has_value());
  BOOST_TEST(!schedule("@every 2562047h").next(at("2200-01-01T00:00:00Z")).has_value());
  BOOST_TEST(schedule("* * * * *").next(wall_time::min()).has_value());
  BOOST_TEST(schedule("@every 10s").next(wall_time::min()).has_value());
}

BOOST_AUTO_TEST_CASE(local_is_the_zone_of_the_process) {
  ::setenv("TZ", "Asia/Kolkata", 1);
  const auto s = schedule("TZ=Local 0 16 * * *");
  BOOST_TEST(s.zone() == "Local");
  BOOST_TEST(veranda::format_rfc3339(s.next(at("2026-03-10T10:07:30Z")).value()) == "2026-03-10T10:30:00Z");
  ::setenv("TZ", "America/New_York", 1);
  BOOST_TEST(veranda::format_rfc3339(s.next(at("2026-03-10T10:07:30Z")).value()) == "2026-03-10T20:00:00Z");
  ::setenv("TZ", "UTC", 1);
}

BOOST_AUTO_TEST_CASE(a_value_that_can_be_copied) {
  const auto s = schedule("TZ=Asia/Kolkata */15 * * * *");
  const auto copy = s;
  const auto from = at("2026-03-10T10:07:30Z");
  BOOST_TEST((copy.next(from) == s.next(from)));
}
