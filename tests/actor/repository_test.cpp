// links: veranda_actors veranda_adapter_kpt
#define BOOST_TEST_MODULE repository
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

struct one_repository : house {
  one_repository() {
    git.publish(url, "main", "app", 1);
    open();
  }
  void start() { list({an_object("a")}); }
  auto sync_now(bool full = false) { return ask<msg::sync_done>(repository_of("a"), msg::sync_now{sync_cause::user, full}); }
};

template <class T>
bool answered(const answer<T>& a) {
  return a->has_value();
}

} // namespace

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

BOOST_AUTO_TEST_CASE(health_checks_keep_it_near_the_remote) {
  machine.health_check_frequency = 1min;
  open_supervisor();
  start();
  git.publish(url, "main", "web", 1);
  advance(61s);
  BOOST_TEST(cached("a").size() == 3U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(a_failure, one_repository)

BOOST_AUTO_TEST_CASE(of_a_listing_is_a_condition_and_the_next_good_one_heals) {
  git.remotes[url].listing_fails = failure{ec::unreachable, "connection refused", {}, {}, {}};
  start();
  BOOST_TEST(status("a").starts_with("Ready=False Error: connection refused (unreachable)"));
  BOOST_TEST(says("a", "next=retry"));
  git.remotes[url].listing_fails.reset();
  advance_until([&] { return ready("a"); }, 1min);
  BOOST_TEST(cached("a").size() == 2U);
  BOOST_TEST(telemetry->started.back() == "retry");
}

BOOST_AUTO_TEST_CASE(of_a_fetch_is_a_condition_and_heals) {
  git.remotes[url].fetch_fails = failure{ec::timed_out, "the transfer stalled", {}, {}, {}};
  start();
  BOOST_TEST(status("a").starts_with("Ready=False Error: the transfer stalled"));
  BOOST_TEST(cached("a").empty());
  git.remotes[url].fetch_fails.reset();
  advance_until([&] { return ready("a"); }, 1min);
}

BOOST_AUTO_TEST_CASE(is_answered_to_who_asked) {
  start();
  git.remotes[url].listing_fails = failure{ec::auth_rejected, "401", {}, {}, {}};
  const auto done = get<msg::sync_done>(repository_of("a"), msg::sync_now{});
  BOOST_TEST(!done.ok);
  BOOST_TEST(done.error == "401");
}

BOOST_AUTO_TEST_CASE(a_missing_branch_is_named_and_found_when_it_comes) {
  auto o = an_object("a");
  o.spec.git->branch = "release";
  list({o});
  BOOST_TEST(status("a").starts_with("Ready=False Error: spec.git.branch: branch \"release\" not found in repository"));
  BOOST_TEST(says("a", "Stalled=True"));
  git.publish(url, "release", "app", 3);
  const auto done = get<msg::sync_done>(repository_of("a"), msg::sync_now{});
  BOOST_TEST(done.ok);
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(an_empty_remote_is_never_a_silent_ready) {
  git.remotes[url] = {};
  start();
  BOOST_TEST(status("a").starts_with("Ready=False Error"));
  BOOST_TEST(says("a", "is it empty?"));
}

BOOST_AUTO_TEST_CASE(a_full_disk_heals_by_retry) {
  cache.failing["apply_delta"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  start();
  BOOST_TEST(status("a").starts_with("Ready=False Error: no space left on device (unavailable)"));
  cache.failing.clear();
  advance_until([&] { return ready("a"); }, 1min);
  BOOST_TEST(cached("a").size() == 2U);
}

BOOST_AUTO_TEST_CASE(of_the_claim_is_tried_again_until_it_heals) {
  cache.failing["claim"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  start();
  advance(5min);
  BOOST_TEST(listings() == 0U);
  cache.failing.clear();
  advance(30s);
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(a_request_that_came_before_the_claim_is_served_in_full) {
  cache.failing["claim"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  start();
  const auto asked = sync_now(true);
  settle();
  BOOST_TEST(!answered(asked));
  cache.failing.clear();
  advance(2s);
  BOOST_REQUIRE(answered(asked));
  BOOST_TEST((**asked)->ok);
}

BOOST_AUTO_TEST_CASE(a_request_before_the_claim_of_a_suspended_one_is_refused) {
  cache.failing["claim"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  auto o = an_object("a");
  o.meta.annotations[std::string{api_names::suspend_annotation}] = "true";
  list({o});
  const auto asked = sync_now();
  settle();
  cache.failing.clear();
  advance(2s);
  BOOST_REQUIRE(answered(asked));
  BOOST_TEST(!(**asked)->ok);
  BOOST_TEST((**asked)->error.find("suspended") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_job_that_never_ends_meets_the_deadline) {
  workers->hold = true;
  start();
  advance(20min + 14s);
  BOOST_TEST(!says("a", "Error"));
  advance(2s);
  BOOST_TEST(says("a", "timed_out"));
  BOOST_TEST(state_of<worker_pool_state>(pool).replaced == 1U);
  workers->held.clear(); // that worker never comes back
  workers->hold = false;
  advance_until([&] { return ready("a"); }, 1min);
}

BOOST_AUTO_TEST_CASE(a_listing_that_is_never_answered_has_waited_too_long_and_is_asked_for_again) {
  http->hold = true;
  start();
  advance(1h);
  BOOST_TEST(!says("a", "Error")); // its turn has not come
  http->held.clear();
  http->hold = false;
  advance_until([&] { return ready("a"); }, 10min);
}

BOOST_AUTO_TEST_CASE(a_worker_that_dies_is_no_fault_of_the_repository) {
  workers->throws = true;
  start();
  advance_until([&] { return ready("a"); }, 1min);
  BOOST_TEST(workers->count("sync") == 1U);
}

BOOST_AUTO_TEST_CASE(an_older_fence_ends_the_actor_and_the_next_one_draws_its_own) {
  start();
  const auto first = repository_of("a");
  const auto old_fence = cache.rows.at("uid-a").fence;
  cache.rows.at("uid-a").fence = cache.last_fence = 40; // somebody else claimed it
  git.publish(url, "main", "web", 1);
  advance(10min);
  BOOST_TEST(!alive(first));
  advance(1s);
  BOOST_TEST(alive(repository_of("a")));
  BOOST_TEST(old_fence < 40);
  BOOST_TEST(cache.rows.at("uid-a").fence == 41);
  BOOST_TEST(cached("a").size() == 3U);
  BOOST_TEST(ready("a"));
  BOOST_TEST(telemetry->restarts == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(an_object, one_repository)

BOOST_AUTO_TEST_CASE(that_changes_during_a_sync_is_synced_with_its_new_spec) {
  git.publish(url, "next", "beta", 7);
  workers->hold = true;
  start();
  BOOST_REQUIRE(workers->held.size() == 1U);
  change("a", [](auto& o) { o.spec.git->branch = "next"; });
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
  workers->release();
  settle();
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "spec_changed"}));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cache.rows.at("uid-a").spec.git->branch == "next");
  BOOST_TEST(cache.rows.at("uid-a").state.basis.commit == git.remotes[url].objects.refs().at("refs/heads/next").hex());
}

BOOST_AUTO_TEST_CASE(that_changes_during_a_sync_keeps_who_asked_waiting_for_the_new_one) {
  start();
  git.publish(url, "next", "beta", 7);
  http->hold = true;
  const auto asked = sync_now();
  settle();
  change("a", [](auto& o) { o.spec.git->branch = "next"; });
  http->release();
  settle();
  BOOST_REQUIRE(answered(asked));
  BOOST_TEST((**asked)->ok);
  BOOST_TEST(!(**asked)->unchanged);
}

BOOST_AUTO_TEST_CASE(that_changes_before_the_claim_is_opened_with_its_new_spec) {
  cache.failing["claim"] = {ec::unavailable, "busy", {}, {}, {}};
  start();
  change("a", [](auto& o) { o.spec.deployment = true; });
  cache.failing.clear();
  advance(2s);
  BOOST_TEST(cache.rows.at("uid-a").spec.deployment);
}

BOOST_AUTO_TEST_CASE(whose_changed_spec_could_not_be_stored_is_stored_later) {
  start();
  cache.failing["open"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  change("a", [](auto& o) { o.spec.deployment = true; });
  BOOST_TEST(!cache.rows.at("uid-a").spec.deployment);
  cache.failing.clear();
  advance(10min); // the supervisor's ticker says again what should be
  BOOST_TEST(cache.rows.at("uid-a").spec.deployment);
}

BOOST_AUTO_TEST_CASE(changed_while_its_sync_waits_for_a_worker_takes_a_new_place_at_once) {
  workers->hold = true;
  std::vector<repository_object> all;
  for (int i = 0; i < 4; ++i) {
    const auto big = "https://git.example/big" + std::to_string(i) + ".git";
    git.publish(big, "main", "app", 1);
    all.push_back(an_object("big" + std::to_string(i), big));
  }
  list(all);
  BOOST_TEST(workers->held.size() == limits.slots); // every worker is taken
  put(an_object("a"));
  const auto& jobs = state_of<worker_pool_state>(pool).jobs;
  BOOST_TEST(jobs.size() == 5U);
  change("a", [](auto& o) { o.spec.git->directory = "app"; });
  BOOST_TEST(jobs.size() == 5U);
  for (const auto& [id, job] : jobs)
    if (job.job.sync.key.name == "a")
      BOOST_TEST(job.job.sync.spec->git->directory == "app");
  workers->release();
  settle();
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(whose_state_could_not_be_written_is_written_as_soon_as_that_works) {
  start();
  cache.failing["put_state"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  change("a", [&](auto& o) { o.spec.sync.run_once_at = wall_now() + 3min; });
  BOOST_TEST(!cache.rows.at("uid-a").state.accepted_run_once.has_value());
  advance(1min);
  cache.failing.clear();
  advance(15s); // a crash from here on runs it at once after the restart
  BOOST_TEST(cache.rows.at("uid-a").state.accepted_run_once.has_value());
  const auto written = cache.count("put_state");
  advance(1min);
  BOOST_TEST(cache.count("put_state") == written);
}

BOOST_AUTO_TEST_CASE(with_another_description_is_not_synced) {
  start();
  change("a", [](auto& o) { o.spec.description = "for people"; });
  BOOST_TEST(telemetry->started.size() == 1U);
}

BOOST_AUTO_TEST_CASE(deleted_during_its_sync_leaves_nothing) {
  workers->hold = true;
  start();
  const auto actor = repository_of("a");
  const auto remote = remote_of();
  remove("a");
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
  BOOST_TEST(!alive(actor)); // it waits for nobody; its remote waits for the job
  BOOST_TEST(alive(remote));
  workers->release();
  settle();
  BOOST_TEST(!alive(remote));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(seen().remotes.empty());
  BOOST_TEST((telemetry->gone == std::vector<object_key>{key("a")}));
}

BOOST_AUTO_TEST_CASE(deleted_while_the_disk_is_full_goes_when_it_can) {
  start();
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove("a");
  advance(1min);
  BOOST_TEST(cache.rows.size() == 1U);
  cache.failing.clear();
  advance(30s);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().entries.empty());
}

BOOST_AUTO_TEST_CASE(deleted_before_its_claim_leaves_nothing) {
  cache.failing["claim"] = {ec::unavailable, "busy", {}, {}, {}};
  start();
  const auto asked = sync_now();
  remove("a");
  advance(5s);
  cache.failing.clear();
  advance(30s);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_REQUIRE(answered(asked)); // who waits is told that nothing comes
  BOOST_TEST((!(*asked)->ok() || !(**asked)->ok));
}

BOOST_AUTO_TEST_CASE(asked_to_sync_while_it_closes_does_not) {
  start();
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  const auto actor = repository_of("a");
  remove("a");
  const auto asked = ask<msg::sync_done>(actor, msg::sync_now{});
  settle();
  BOOST_REQUIRE(answered(asked));
  BOOST_TEST((!(*asked)->ok() || !(**asked)->ok));
  BOOST_TEST(telemetry->started.size() == 1U);
}

BOOST_AUTO_TEST_CASE(suspended_during_its_sync_stops_and_goes_on_later) {
  workers->hold = true;
  start();
  change("a", [](auto& o) { o.meta.annotations[std::string{api_names::suspend_annotation}] = "true"; });
  workers->release();
  settle();
  BOOST_TEST(cached("a").empty());
  BOOST_TEST(says("a", "Suspended"));
  advance(1h);
  BOOST_TEST(telemetry->started.size() == 1U);
  change("a", [](auto& o) { o.meta.annotations.clear(); });
  BOOST_TEST(ready("a"));
  BOOST_TEST(cached("a").size() == 2U);
}

BOOST_AUTO_TEST_CASE(asked_by_annotation_is_synced_once_per_value) {
  start();
  const auto request = [](const char* value) { return [value](repository_object& o) { o.meta.annotations[std::string{api_names::sync_requested_annotation}] = value; }; };
  change("a", request("1"));
  change("a", request("1"));
  change("a", request("2"));
  BOOST_TEST((telemetry->started == std::vector<std::string>{"start", "user", "user"}));
  BOOST_TEST(says("a", "handled=2"));
  BOOST_TEST(cache.rows.at("uid-a").state.handled_request == "2");
}

BOOST_AUTO_TEST_CASE(with_problems_says_so_and_is_not_synced) {
  auto o = an_object("a");
  o.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  list({o});
  BOOST_TEST(status("a").starts_with("Ready=False Error: spec.git.branch: \"a b\": must be a valid git branch name (invalid_spec)"));
  BOOST_TEST(telemetry->started.empty());
  put(an_object("a"));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(with_a_url_that_breaks_a_rule_names_the_field) {
  list({an_object("a", "https://git.example/../x")});
  BOOST_TEST(says("a", "the URL is not a good one (invalid_spec)"));
}

BOOST_AUTO_TEST_SUITE_END()
