// links: veranda_logic
#define BOOST_TEST_MODULE machine_schedule
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(periodic)

BOOST_AUTO_TEST_CASE(default_frequency_counts_from_the_end) {
  driver d{quiet()};
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
  BOOST_TEST(started(d.time(at(10, 9, 59))) == "-");
  const auto fx = d.see(d.time(at(10, 10, 3)));
  BOOST_TEST(started(fx) == "periodic");
  BOOST_TEST((fx.start->due == at(10, 10)));
  BOOST_TEST(!fx.publish); // nothing to say until something is found
  d.now = at(10, 12);
  d.finish_unchanged();
  BOOST_TEST((d.machine.next_due() == at(10, 22)));
}

BOOST_AUTO_TEST_CASE(progress_is_shown_once_the_listing_differs) {
  driver d{quiet()};
  d.settle();
  d.see(d.time(at(10, 10)));
  BOOST_TEST(d.ready().status == "True");
  effects fx;
  BOOST_TEST(d.machine.on_listed_changed(d.now, fx));
  BOOST_TEST(fx.publish);
  BOOST_TEST(d.ready().reason == "Reconciling");
  BOOST_TEST(d.find("Reconciling").status == "True");
  BOOST_TEST(d.finish_ok().publish);
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(d.find("Reconciling").type == "");
}

BOOST_AUTO_TEST_CASE(cron_is_followed) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/15 * * * *";
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 15)));
  BOOST_TEST(d.machine.planned().cause == "cron");
  BOOST_TEST(started(d.see(d.time(at(10, 15)))) == "cron");
  d.now = at(10, 16);
  d.finish_ok();
  BOOST_TEST((d.machine.next_due() == at(10, 30)));
}

BOOST_AUTO_TEST_CASE(a_cron_run_that_comes_due_during_a_sync_follows_it_once) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/5 * * * *";
  d.settle();
  d.see(d.time(at(10, 5)));
  d.now = at(10, 17);
  BOOST_TEST(started(d.finish_ok()) == "cron");
  d.now = at(10, 18);
  BOOST_TEST(started(d.finish_ok()) == "-");
  BOOST_TEST((d.machine.next_due() == at(10, 20)));
}

BOOST_AUTO_TEST_CASE(a_changed_schedule_replans_at_once_without_a_sync) {
  driver d{quiet()};
  d.settle();
  d.now = at(10, 4);
  auto fx = d.change([](repository_spec& s) { s.sync.schedule = "30 * * * *"; });
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST(fx.publish);
  BOOST_TEST(driver::logged(fx, "next scheduled time: 2026-03-10T10:30:00Z"));
  BOOST_TEST(d.ready().message == "Repository Ready (next sync scheduled at: 2026-03-10T10:30:00Z)");
  BOOST_TEST(d.machine.status(d.now).observed_generation == 2);
  d.now = at(10, 6);
  d.change([](repository_spec& s) { s.sync.schedule.clear(); });
  BOOST_TEST((d.machine.next_due() == at(10, 10))); // still counts from the last end
}

BOOST_AUTO_TEST_CASE(a_changed_schedule_counts_from_its_change_even_during_a_sync) {
  driver d{quiet()};
  d.settle();
  d.see(d.trigger(sync_cause::user));
  d.now = at(10, 7);
  d.change([](repository_spec& s) { s.sync.schedule = "5 * * * *"; });
  d.now = at(10, 8);
  BOOST_TEST(started(d.finish_ok()) == "-"); // 10:05 was before the expression existed
  BOOST_TEST((d.machine.next_due() == at(11, 5)));
}

BOOST_AUTO_TEST_CASE(a_bad_expression_falls_back_and_says_so) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "TZ=UTC";
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
  const auto c = d.find("ScheduleInvalid");
  BOOST_TEST(c.status == "True");
  BOOST_TEST(c.reason == "InvalidCronExpression");
  BOOST_TEST(c.message.starts_with("spec.sync.schedule: \"TZ=UTC\": "));
  BOOST_TEST(c.message.ends_with("; syncing every 10m0s instead"));
  BOOST_TEST(d.ready().status == "True");
  d.change([](repository_spec& s) { s.sync.schedule = "@hourly"; });
  BOOST_TEST(d.find("ScheduleInvalid").type == "");
}

BOOST_AUTO_TEST_CASE(an_expression_without_a_next_time_falls_back_and_says_so) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "0 0 31 2 *";
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
  BOOST_TEST(d.machine.planned().cause == "periodic");
  BOOST_TEST(d.find("ScheduleInvalid").reason == "NoFutureRun");
  BOOST_TEST(started(d.see(d.time(at(10, 10)))) == "periodic");
}

BOOST_AUTO_TEST_CASE(a_full_compare_comes_with_the_first_periodic_sync_after_its_interval) {
  auto settings = quiet();
  settings.full_compare_interval = 30min;
  driver d{settings};
  d.settle();
  std::string fulls;
  for (int i = 1; i <= 7; ++i) {
    const auto fx = d.see(d.time(at(10, 0) + i * 10min));
    BOOST_REQUIRE(fx.start.has_value());
    fulls += fx.start->full ? "F" : ".";
    d.finish_unchanged();
  }
  BOOST_TEST(fulls == "..F..F.");
}

BOOST_AUTO_TEST_CASE(spread_shortens_only_the_first_wait_and_is_the_same_for_a_remote) {
  auto settings = quiet();
  settings.spread = 0.5;
  driver a{settings};
  driver b{settings};
  a.settle();
  b.settle();
  BOOST_TEST((a.machine.next_due() == b.machine.next_due()));
  BOOST_TEST((a.machine.next_due() >= at(10, 5)));
  BOOST_TEST((a.machine.next_due() < at(10, 10)));
  a.see(a.time(at(10, 10)));
  a.finish_unchanged();
  BOOST_TEST((a.machine.next_due() == at(10, 20)));
}

BOOST_AUTO_TEST_CASE(first_waits_of_many_remotes_fill_the_window_evenly) {
  auto settings = quiet();
  settings.spread = 0.5; // of 10 minutes: from 10:05 to 10:10
  std::array<unsigned, 10> in_tenth{};
  for (unsigned remote = 0; remote < 1'000; ++remote) {
    driver d{settings};
    d.repo.spec.git->repo = "https://git.example/r" + std::to_string(remote) + ".git";
    d.settle();
    const auto after = *d.machine.next_due() - at(10, 5);
    BOOST_REQUIRE((after >= 0s && after < 5min));
    ++in_tenth[static_cast<std::size_t>(after / 30s)];
  }
  for (const auto remotes : in_tenth) BOOST_TEST((remotes > 60U && remotes < 140U), remotes);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(clock_steps)

BOOST_AUTO_TEST_CASE(suspend_of_the_host_runs_once_what_was_missed) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/5 * * * *";
  d.settle();
  BOOST_TEST(started(d.see(d.time(at(13, 2)))) == "cron");
  BOOST_TEST(started(d.finish_ok()) == "-");
  BOOST_TEST((d.machine.next_due() == at(13, 5)));
}

BOOST_AUTO_TEST_CASE(a_step_back_replans_the_default_frequency) {
  driver d{quiet()};
  d.settle();
  BOOST_TEST(started(d.time(at(8, 0))) == "-");
  BOOST_TEST((d.machine.next_due() == at(8, 10)));
}

BOOST_AUTO_TEST_CASE(a_large_step_back_replans_cron) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/5 * * * *";
  d.settle();
  d.time(at(8, 1));
  BOOST_TEST((d.machine.next_due() == at(8, 5)));
}

BOOST_AUTO_TEST_CASE(a_small_step_back_does_not_repeat_a_cron_run) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "*/5 * * * *";
  d.settle();
  d.see(d.time(at(10, 5)));
  d.now = at(10, 4, 58); // while it runs
  BOOST_TEST(started(d.finish_ok()) == "-");
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
  BOOST_TEST(started(d.time(at(10, 5))) == "-");
  d.time(at(10, 4, 59));
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
}

BOOST_AUTO_TEST_CASE(retry_and_health_never_wait_longer_than_meant) {
  driver d;
  d.settle();
  d.time(at(9, 0));
  BOOST_TEST((d.machine.next_due() == at(9, 1)));
  d.see(d.time(at(9, 1)));
  d.finish_failed(fails(ec::unreachable));
  d.time(at(7, 0));
  BOOST_TEST((*d.machine.next_due() <= at(7, 0, 10)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(one_time)

BOOST_AUTO_TEST_CASE(a_future_value_is_accepted_run_once_and_consumed) {
  driver d{quiet()};
  d.settle();
  auto fx = d.change([](repository_spec& s) { s.sync.run_once_at = at(10, 3); });
  BOOST_TEST(fx.persist);
  BOOST_TEST(driver::logged(fx, "scheduling one-time sync at 2026-03-10T10:03:00Z"));
  BOOST_TEST((d.machine.durable().accepted_run_once == at(10, 3)));
  BOOST_TEST(d.machine.planned().cause == "runOnceAt");
  fx = d.see(d.time(at(10, 3)));
  BOOST_TEST(started(fx) == "run_once");
  BOOST_TEST(driver::logged(fx, "triggering one-time sync"));
  fx = d.finish_ok();
  BOOST_TEST(driver::logged(fx, "finished one-time sync"));
  BOOST_TEST(!d.machine.durable().accepted_run_once.has_value());
  BOOST_TEST((d.machine.durable().consumed_run_once == at(10, 3)));
  BOOST_TEST((d.machine.status(d.now).observed_run_once_at == at(10, 3)));
  BOOST_TEST(started(d.object()) == "-");
  BOOST_TEST((d.machine.next_due() == at(10, 13)));
}

BOOST_AUTO_TEST_CASE(a_past_value_is_skipped_and_said_so_once) {
  driver d{quiet()};
  d.settle();
  auto fx = d.change([](repository_spec& s) { s.sync.run_once_at = at(9, 59); });
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST(driver::logged(fx, "skipping one-time sync at 2026-03-10T09:59:00Z: it was past when first seen"));
  BOOST_TEST(d.object().log.empty());
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
}

BOOST_AUTO_TEST_CASE(moved_and_cleared) {
  driver d{quiet()};
  d.settle();
  d.change([](repository_spec& s) { s.sync.run_once_at = at(10, 3); });
  d.change([](repository_spec& s) { s.sync.run_once_at = at(10, 5); });
  BOOST_TEST(started(d.time(at(10, 3))) == "-");
  const auto fx = d.change([](repository_spec& s) { s.sync.run_once_at.reset(); });
  BOOST_TEST(driver::logged(fx, "one-time sync at 2026-03-10T10:05:00Z is cancelled"));
  BOOST_TEST(fx.persist);
  BOOST_TEST(started(d.time(at(10, 5))) == "-");
}

BOOST_AUTO_TEST_CASE(it_does_not_move_the_cron_schedule) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "0 * * * *";
  d.repo.spec.sync.run_once_at = at(10, 20);
  d.settle();
  d.see(d.time(at(10, 20)));
  d.finish_ok();
  BOOST_TEST((d.machine.next_due() == at(11, 0)));
}

BOOST_AUTO_TEST_CASE(accepted_and_missed_while_down_runs_at_once) {
  durable_state old;
  old.last_success = at(8, 0);
  old.accepted_run_once = at(9, 0);
  driver d{quiet(), old};
  d.repo.spec.sync.run_once_at = at(9, 0);
  const auto fx = d.see(d.object());
  BOOST_TEST(started(fx) == "run_once");
  BOOST_TEST(started(d.finish_unchanged()) == "-");
  BOOST_TEST((d.machine.durable().consumed_run_once == at(9, 0)));
}

BOOST_AUTO_TEST_CASE(consumed_before_a_restart_is_not_run_again) {
  durable_state old;
  old.last_success = at(9, 30);
  old.consumed_run_once = at(9, 0);
  driver d{quiet(), old};
  d.repo.spec.sync.run_once_at = at(9, 0);
  const auto fx = d.see(d.object());
  BOOST_TEST(started(fx) == "start");
  BOOST_TEST(fx.log.empty());
}

BOOST_AUTO_TEST_CASE(changed_while_down_the_old_value_is_forgotten) {
  durable_state old;
  old.accepted_run_once = at(9, 0);
  driver d{quiet(), old};
  d.repo.spec.sync.run_once_at = at(12, 0);
  BOOST_TEST(started(d.see(d.object())) == "start");
  BOOST_TEST((d.machine.durable().accepted_run_once == at(12, 0)));
}

BOOST_AUTO_TEST_CASE(a_failure_consumes_it_and_retries_follow) {
  driver d{quiet()};
  d.repo.spec.sync.run_once_at = at(10, 3);
  d.settle();
  d.see(d.time(at(10, 3)));
  sync_outcome o;
  o.sync_id = d.running;
  o.error = fails(ec::timed_out);
  BOOST_TEST((d.machine.durable_after(o, d.now).consumed_run_once == at(10, 3)));
  BOOST_TEST((d.machine.durable().accepted_run_once == at(10, 3))); // asking decides nothing
  const auto fx = d.finish(o);
  BOOST_TEST(fx.persist);
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST(d.machine.planned().cause == "retry");
}

BOOST_AUTO_TEST_CASE(due_while_another_sync_runs_it_follows) {
  driver d{quiet()};
  d.repo.spec.sync.run_once_at = at(10, 1);
  d.see(d.object());
  BOOST_TEST(started(d.time(at(10, 2))) == "-");
  BOOST_TEST(started(d.finish_ok()) == "run_once");
}

BOOST_AUTO_TEST_CASE(an_invalid_object_keeps_what_was_accepted) {
  driver d{quiet()};
  d.settle();
  d.change([](repository_spec& s) { s.sync.run_once_at = at(10, 30); });
  d.repo.problems.push_back({"spec.sync.runOnceAt", "tomorrow", "must be an RFC 3339 time"});
  d.change([](repository_spec& s) { s.sync.run_once_at.reset(); });
  BOOST_TEST((d.machine.durable().accepted_run_once == at(10, 30)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(health)

BOOST_AUTO_TEST_CASE(a_check_that_finds_nothing_moves_and_says_nothing) {
  driver d;
  d.settle();
  for (int minute = 1; minute <= 9; ++minute) {
    const auto fx = d.see(d.time(at(10, minute)));
    BOOST_TEST(started(fx) == "health");
    BOOST_TEST(!fx.start->fresh);
    BOOST_TEST(!fx.publish);
    const auto end = d.finish_unchanged();
    BOOST_TEST(!end.publish);
    BOOST_TEST(!end.persist);
    BOOST_TEST(end.log.empty());
  }
  BOOST_TEST(d.machine.durable().runs.size() == 1U);
  BOOST_TEST(started(d.time(at(10, 10))) == "periodic");
}

BOOST_AUTO_TEST_CASE(moved_refs_are_synced_at_once_without_cron) {
  driver d;
  d.settle();
  d.see(d.time(at(10, 1)));
  effects fx;
  BOOST_TEST(d.machine.on_listed_changed(d.now, fx));
  BOOST_TEST(fx.publish);
  d.finish_ok();
  BOOST_TEST(d.machine.planned().cause == "periodic");
  BOOST_TEST((d.machine.planned().at == at(10, 11)));
  BOOST_TEST(d.machine.durable().runs.size() == 2U);
}

BOOST_AUTO_TEST_CASE(moved_refs_wait_for_cron) {
  driver d;
  d.repo.spec.sync.schedule = "30 * * * *";
  d.settle();
  d.see(d.time(at(10, 1)));
  effects fx;
  BOOST_TEST(!d.machine.on_listed_changed(d.now, fx));
  BOOST_TEST(!fx.publish);
  BOOST_TEST(!d.finish_unchanged().publish);
  BOOST_TEST((d.machine.planned().at == at(10, 30)));
}

BOOST_AUTO_TEST_CASE(a_failed_check_shows_the_error_and_its_retry_heals_it) {
  driver d;
  d.settle();
  d.see(d.time(at(10, 1)));
  BOOST_TEST(d.finish_failed(fails(ec::unreachable)).publish);
  BOOST_TEST(d.ready().reason == "Error");
  BOOST_TEST(d.machine.planned().cause == "retry");
  d.see(d.time(*d.machine.next_due()));
  const auto fx = d.finish_unchanged();
  BOOST_TEST(fx.publish);
  BOOST_TEST(fx.persist);
  BOOST_TEST(d.ready().status == "True");
}

BOOST_AUTO_TEST_CASE(it_can_be_turned_off) {
  driver d{quiet()};
  d.settle();
  BOOST_TEST((d.machine.next_due() == at(10, 10)));
}

BOOST_AUTO_TEST_SUITE_END()
