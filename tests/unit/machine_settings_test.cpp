// links: veranda_logic
#define BOOST_TEST_MODULE machine_settings
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

/// `10:10:00 10:20:00 ...`, the next five times of the schedule.
std::string upcoming(driver& d) {
  std::string out;
  for (const auto t : d.machine.plan(d.now, 5).upcoming)
    out += (out.empty() ? "" : " ") + format_rfc3339(t).substr(11, 8);
  return out;
}

template <class Change>
effects set(driver& d, machine_settings settings, Change change) {
  change(settings);
  return d.see(d.machine.set_settings(settings, d.now));
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_next_times)

BOOST_AUTO_TEST_CASE(of_the_default_frequency) {
  driver d{quiet()};
  BOOST_TEST(upcoming(d) == "");
  d.settle();
  BOOST_TEST(upcoming(d) == "10:10:00 10:20:00 10:30:00 10:40:00 10:50:00");
  d.annotate(api_names::suspend_annotation, "true");
  d.now = at(10, 25);
  BOOST_TEST(upcoming(d) == "10:25:00 10:35:00 10:45:00 10:55:00 11:05:00"); // what is overdue is due now
}

BOOST_AUTO_TEST_CASE(of_cron) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/20 10-11 * * *";
  d.settle();
  BOOST_TEST(upcoming(d) == "10:20:00 10:40:00 11:00:00 11:20:00 11:40:00");
}

BOOST_AUTO_TEST_CASE(of_cron_across_the_change_to_summer_time) {
  auto settings = quiet();
  settings.time_zone = "Europe/Berlin";
  driver d{settings, {}, std::chrono::sys_days{std::chrono::year{2026} / 3 / 28} + 12h};
  d.repo.spec.sync.schedule = "30 2 * * *";
  d.settle();
  std::string days;
  for (const auto t : d.machine.plan(d.now, 3).upcoming)
    days += format_rfc3339(t).substr(5, 11) + " ";
  BOOST_TEST(days == "03-30T00:30 03-31T00:30 04-01T00:30 "); // there is no half past two on the 29th
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(other_settings)

BOOST_AUTO_TEST_CASE(another_frequency_re_plans_without_a_sync) {
  driver d{quiet()};
  d.settle();
  d.time(at(10, 4));
  auto fx = set(d, quiet(), [](auto& s) { s.default_frequency = 5min; });
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST((d.machine.next_due() == at(10, 5))); // from the end of the last sync
  fx = set(d, quiet(), [](auto& s) { s.default_frequency = 2min; });
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST((d.machine.next_due() == at(10, 6))); // never in the past
  set(d, quiet(), [](auto& s) { s.default_frequency = 1h; });
  BOOST_TEST((d.machine.next_due() == at(11, 0)));
}

BOOST_AUTO_TEST_CASE(another_frequency_leaves_cron_alone) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/15 * * * *";
  d.settle();
  set(d, quiet(), [](auto& s) { s.default_frequency = 1min; });
  BOOST_TEST((d.machine.next_due() == at(10, 15)));
}

BOOST_AUTO_TEST_CASE(another_zone_re_plans_cron) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "0 12 * * *";
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(12, 0)));
  set(d, quiet(), [](auto& s) { s.time_zone = "Europe/Berlin"; });
  BOOST_TEST((d.machine.next_due() == at(11, 0)));
}

BOOST_AUTO_TEST_CASE(what_is_due_while_a_sync_runs_still_follows_it) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/5 * * * *";
  d.settle();
  d.see(d.time(at(10, 5)));
  d.now = at(10, 12);
  set(d, quiet(), [](auto& s) { s.default_frequency = 1min; });
  BOOST_TEST(started(d.finish_ok()) == "cron");
}

BOOST_AUTO_TEST_CASE(health_checks_come_sooner_later_or_not_at_all) {
  driver d;
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 1)));
  set(d, {}, [](auto& s) { s.health_check_frequency = 10s; });
  BOOST_TEST((d.machine.next_due() == at(10, 0, 10)));
  set(d, {}, [](auto& s) { s.health_check_frequency = 0s; });
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
  set(d, {}, [](auto& s) { s.health_check_frequency = 2min; });
  BOOST_TEST((d.machine.next_due() == at(10, 2)));
}

BOOST_AUTO_TEST_CASE(before_the_first_object_they_are_simply_taken) {
  driver d{quiet()};
  BOOST_TEST(started(set(d, quiet(), [](auto& s) { s.default_frequency = 1min; })) == "-");
  BOOST_TEST(!d.machine.next_due());
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 1)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(long_times)

BOOST_AUTO_TEST_CASE(a_hundred_years_of_sundays) {
  auto settings = quiet();
  settings.time_zone = "Europe/Berlin";
  driver d{settings};
  d.repo.spec.sync.schedule = "30 3 * * 0";
  d.settle();
  auto last = d.now;
  int syncs = 0;
  const auto end = std::chrono::sys_days{std::chrono::year{2126} / 3 / 10};
  while (d.machine.next_due() && *d.machine.next_due() < end) {
    const auto due = *d.machine.next_due();
    BOOST_REQUIRE((due > last && due - last <= 7 * 24h + 1h));
    BOOST_REQUIRE(started(d.see(d.time(due))) == "cron");
    d.finish_unchanged();
    last = due;
    ++syncs;
  }
  BOOST_TEST(syncs == 5217);
}

BOOST_AUTO_TEST_CASE(a_day_asleep_is_one_sync_whatever_was_planned) {
  struct row {
    const char* schedule;
    const char* cause;
  };
  for (const auto& r : {row{"", "periodic"}, row{"*/5 * * * *", "cron"}, row{"@hourly", "cron"}}) {
    BOOST_TEST_CONTEXT("schedule \"" << r.schedule << '"') {
      driver d;
      d.repo.spec.sync.schedule = r.schedule;
      d.settle();
      BOOST_TEST(started(d.see(d.later(26h))) == r.cause);
      BOOST_TEST(started(d.finish_ok()) == "-");
      BOOST_TEST((*d.machine.next_due() > d.now));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_one_time_sync_that_was_announced)

/// What the object's status said when the process died, before that was stored.
struct died : driver {
  died() : driver{quiet()} {
    repo.spec.sync.run_once_at = at(10, 5);
    settle();
    said = machine.status(now);
  }
  void start_again(std::optional<durable_state> restored, wall_time when) {
    machine = repository_machine{quiet(), 1, std::move(restored)};
    machine.restore_status(said);
    now = when;
  }
  repository_status said;
};

BOOST_FIXTURE_TEST_CASE(runs_although_its_acceptance_was_lost, died) {
  BOOST_TEST(said.next_sync_cause == "runOnceAt");
  start_again(std::nullopt, at(10, 30));
  BOOST_TEST(logged(see(object()), "triggering one-time sync"));
  finish_ok();
  BOOST_TEST((machine.durable().consumed_run_once == at(10, 5)));
}

BOOST_FIXTURE_TEST_CASE(does_not_run_twice, died) {
  see(time(at(10, 5)));
  finish_ok();
  start_again(machine.durable(), at(10, 30));
  BOOST_TEST(!logged(see(object()), "triggering one-time sync"));
}

BOOST_FIXTURE_TEST_CASE(is_forgotten_with_its_field, died) {
  start_again(std::nullopt, at(10, 30));
  repo.spec.sync.run_once_at.reset();
  BOOST_TEST(!logged(see(object()), "triggering one-time sync"));
  BOOST_TEST(!machine.durable().accepted_run_once);
}

BOOST_AUTO_TEST_SUITE_END()
