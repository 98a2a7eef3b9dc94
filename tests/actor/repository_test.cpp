// links: veranda_house
#define BOOST_TEST_MODULE repository
#include "tests/actor/one_repository.hpp"

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_SUITE(a_sync, one_repository)

BOOST_AUTO_TEST_CASE(the_first_one_fills_the_cache) {
  start();
  BOOST_TEST(cached("a").size() == 2U); // the package on the branch and its published revision
  BOOST_TEST(ready("a"));
  BOOST_TEST(says("a", "packages=2"));
  BOOST_TEST(says("a", "next sync scheduled at: 2026-03-10T10:10:00Z"));
  BOOST_TEST(telemetry->started == std::vector<std::string>{"start"}, boost::test_tools::per_element());
  BOOST_TEST((telemetry->transitions == std::vector<std::string>{"Reconciling", "Ready"}));
  BOOST_TEST(cache.count("apply_delta") == 1U);
}

BOOST_AUTO_TEST_CASE(is_in_progress_before_anything_changes) {
  http->hold = true;
  start();
  BOOST_TEST(status("a").starts_with("Ready=False Reconciling"));
  BOOST_TEST(cached("a").empty());
  http->release();
  settle();
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(that_finds_nothing_new_makes_no_job_and_no_cache_write) {
  start();
  const auto jobs = workers->done.size();
  const auto statuses = objects->writes.size();
  advance(10min);
  BOOST_TEST(telemetry->finished == 2U);
  BOOST_TEST(telemetry->unchanged == 1U);
  BOOST_TEST(listings() == 2U);
  BOOST_TEST(workers->done.size() == jobs);
  BOOST_TEST(cache.count("apply_delta") == 1U);
  BOOST_TEST(objects->writes.size() == statuses + 1); // the next sync time moved
  BOOST_TEST((telemetry->transitions == std::vector<std::string>{"Reconciling", "Ready"}));
}

BOOST_AUTO_TEST_CASE(follows_the_remote) {
  start();
  git.publish(url, "main", "app", 2);
  git.publish(url, "main", "web", 1);
  git.remotes[url].objects.remove_ref("refs/tags/app/v1");
  advance(10min);
  BOOST_TEST(cached("a").size() == 3U); // web on the branch (app is gone from its tip), app v2, web v1
  git.remotes[url].objects.remove_ref("refs/tags/app/v2");
  advance(10min);
  BOOST_TEST(cached("a").size() == 2U);
}

BOOST_AUTO_TEST_CASE(of_another_directory_is_no_change_here) {
  list({[&] {
    auto o = an_object("a");
    o.spec.git->directory = "app";
    return o;
  }()});
  git.remotes[url].objects.set_ref("refs/tags/elsewhere/x/v1", git.remotes[url].objects.refs().at("refs/tags/app/v1"));
  advance(10min);
  BOOST_TEST(telemetry->unchanged == 1U);
  BOOST_TEST(workers->count("sync") == 1U);
}

BOOST_AUTO_TEST_CASE(by_trigger_while_one_runs_is_not_lost) {
  http->hold = true;
  start(); // its listing is under way and answers what was there before
  git.publish(url, "main", "web", 1);
  auto stale = std::exchange(http->held, {});
  const auto asked = sync_now();
  settle();
  git.remotes[url].objects.remove_ref("refs/tags/web/v1");
  for (auto& one : stale)
    http->answer(one);
  settle();
  git.publish(url, "main", "api", 1);
  BOOST_TEST(!answered(asked)); // the sync that began before the request does not serve it
  http->release();
  settle();
  BOOST_REQUIRE(answered(asked));
  BOOST_TEST((*asked)->ok());
  BOOST_TEST((**asked)->ok);
  BOOST_TEST(cache.names(key("a")).size() == 3U); // api on the branch, app and api published
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "user"}));
}

BOOST_AUTO_TEST_CASE(on_request_lists_anew_and_answers_when_it_ends) {
  start();
  git.publish(url, "main", "web", 1);
  const auto done = get<msg::sync_done>(repository_of("a"), msg::sync_now{});
  BOOST_TEST(done.ok);
  BOOST_TEST(!done.unchanged);
  BOOST_TEST(done.stats.external_only == 2U);
  BOOST_TEST(get<msg::sync_done>(repository_of("a"), msg::sync_now{}).unchanged);
  BOOST_TEST(listings() == 3U);
}

BOOST_AUTO_TEST_CASE(in_full_compares_what_has_not_changed) {
  start();
  cache.rows.at("uid-a").revisions.erase(cached("a").front()); // something took it away
  BOOST_TEST(get<msg::sync_done>(repository_of("a"), msg::sync_now{}).unchanged);
  BOOST_TEST(cached("a").size() == 1U);
  const auto done = get<msg::sync_done>(repository_of("a"), msg::sync_now{sync_cause::user, true});
  BOOST_TEST(done.stats.external_only == 1U);
  BOOST_TEST(cached("a").size() == 2U);
}

BOOST_AUTO_TEST_CASE(knows_its_key_spec_and_state) {
  start();
  BOOST_TEST(to_string(get<object_key>(repository_of("a"), msg::get_key{})) == "team/a");
  BOOST_TEST(get<repository_object_ptr>(repository_of("a"), msg::get_spec{})->spec.git->repo == url);
  const auto state = get<msg::repository_state_view>(boss, key("a"), msg::get_state{});
  BOOST_TEST(state.durable.revisions == 2U);
  BOOST_TEST(state.phase == "idle");
  BOOST_TEST(to_string(get_failure<msg::repository_state_view>(boss, key("b"), msg::get_state{}).code) == "not_found");
}

BOOST_AUTO_TEST_CASE(tells_what_it_plans) {
  start();
  const auto plan = get<msg::repository_state_view>(boss, key("a"), msg::get_state{}).plan;
  BOOST_REQUIRE(plan.upcoming.size() == 5U);
  BOOST_TEST((plan.scheduled == plan.upcoming.front()));
  BOOST_TEST((plan.upcoming.back() - plan.upcoming.front() == 40min));
  BOOST_TEST(!plan.running);
  workers->hold = true;
  git.publish(url, "main", "web", 1);
  const auto asked = sync_now();
  settle();
  const auto view = get<msg::repository_state_view>(boss, key("a"), msg::get_state{});
  BOOST_TEST(view.phase == "working");
  BOOST_REQUIRE(view.plan.running);
  BOOST_TEST(to_string(view.plan.running->cause) == "user");
  BOOST_TEST(!answered(asked));
  workers->release();
}

BOOST_AUTO_TEST_CASE(keeps_the_time_of_each_phase) {
  start();
  workers->hold = true;
  git.publish(url, "main", "web", 1);
  const auto asked = sync_now();
  settle();
  advance(7s);
  workers->release();
  advance(1s);
  BOOST_TEST(answered(asked));
  const auto phases = last_run("a").phases;
  BOOST_TEST((phases.waiting > 2s && phases.waiting < 8s)); // but for the time that the worker took, which is real
  BOOST_TEST((phases.listing < 1s));
  BOOST_TEST((last_run("a").duration >= 7s));
}

BOOST_AUTO_TEST_CASE(takes_other_settings_while_it_runs) {
  start();
  auto other = machine;
  other.default_frequency = 2min;
  tell(boss, msg::settings_changed{std::make_shared<const logic::machine_settings>(other)});
  advance(2min + 1s);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "periodic"}));
  list({an_object("a"), an_object("b")}); // and who begins later
  const auto before = telemetry->started.size();
  advance(4min + 2s);
  BOOST_TEST(telemetry->started.size() == before + 4U);
}

BOOST_AUTO_TEST_CASE(periodic_ones_go_on_for_hours) {
  start();
  advance(6h);
  BOOST_TEST(telemetry->started.size() == 37U); // at the start and every ten minutes
  BOOST_TEST(listings() == 37U);
  BOOST_TEST(workers->count("sync") == 2U); // the first, and the full compare after six hours
}

BOOST_AUTO_TEST_CASE(by_cron_runs_at_its_times_and_a_changed_expression_counts_at_once) {
  auto o = an_object("a");
  o.spec.sync.schedule = "0 * * * *";
  list({o});
  advance(2h + 5min);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "cron", "cron"}));
  change("a", [](auto& c) { c.spec.sync.schedule = "*/15 * * * *"; });
  BOOST_TEST(says("a", "2026-03-10T12:15:00Z"));
  advance(30min);
  BOOST_TEST(telemetry->started.size() == 5U);
}

BOOST_AUTO_TEST_CASE(with_a_bad_expression_falls_back_and_says_so) {
  auto o = an_object("a");
  o.spec.sync.schedule = "61 * * * *";
  list({o});
  BOOST_TEST(ready("a"));
  BOOST_TEST(says("a", "ScheduleInvalid=True"));
  advance(10min);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "periodic"}));
}

BOOST_AUTO_TEST_CASE(runs_once_at_its_time_and_never_again) {
  start();
  change("a", [&](auto& o) { o.spec.sync.run_once_at = wall_now() + 3min; });
  BOOST_TEST(cache.rows.at("uid-a").state.accepted_run_once.has_value()); // durable when first seen
  BOOST_TEST(says("a", "next=runOnceAt"));
  advance(2min + 59s);
  BOOST_TEST(telemetry->started.size() == 1U);
  advance(2s);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "run_once"}));
  BOOST_TEST(!cache.rows.at("uid-a").state.accepted_run_once.has_value());
  BOOST_TEST(cache.rows.at("uid-a").state.consumed_run_once.has_value());
  advance(5min);
  BOOST_TEST(telemetry->started.size() == 2U);
}

BOOST_AUTO_TEST_CASE(accepted_before_a_death_runs_after_it) {
  start();
  change("a", [&](auto& o) { o.spec.sync.run_once_at = wall_now() + 3min; });
  crash(repository_of("a"));
  advance(4min);
  BOOST_TEST(cache.rows.at("uid-a").state.consumed_run_once.has_value());
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_put_forward_is_noticed_within_a_minute) {
  auto o = an_object("a");
  o.spec.sync.schedule = "0 12 * * *";
  o.spec.sync.run_once_at = wall_now() + 30min;
  list({o});
  wall_start += 2h + 1min; // past both
  advance(61s);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "run_once"})); // which does for both
  BOOST_TEST(cache.rows.at("uid-a").state.consumed_run_once.has_value());
  advance(20h);
  BOOST_TEST(telemetry->started.size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_clock_that_is_put_back_is_followed_and_runs_no_one_time_sync_twice) {
  auto o = an_object("a");
  o.spec.sync.schedule = "30 * * * *";
  o.spec.sync.run_once_at = wall_now() + 10min;
  list({o});
  advance(11min);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "run_once"}));
  wall_start -= 3h; // 7:11
  advance(18min);
  BOOST_TEST(telemetry->started.size() == 2U);
  advance(2min);
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "run_once", "cron"})); // 7:30
  advance(3h); // past 10:10 again
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "run_once", "cron", "cron", "cron", "cron"}));
}

BOOST_AUTO_TEST_CASE(health_checks_keep_it_near_the_remote) {
  machine.health_check_frequency = 1min;
  open_supervisor();
  start();
  git.publish(url, "main", "web", 1);
  advance(61s);
  BOOST_TEST(cached("a").size() == 3U);
}

BOOST_AUTO_TEST_SUITE_END()
