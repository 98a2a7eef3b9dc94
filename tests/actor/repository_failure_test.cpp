// links: veranda_house
#define BOOST_TEST_MODULE repository_failure
#include "tests/actor/one_repository.hpp"

using namespace veranda;
using namespace veranda::test;

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

BOOST_AUTO_TEST_CASE(a_missing_branch_is_not_made_without_the_setting) {
  auto o = an_object("a");
  o.spec.git->branch = "release";
  o.spec.git->create_branch = true;
  list({o});
  BOOST_TEST(status("a").starts_with("Ready=False Error: spec.git.branch: branch \"release\" not found in repository; createBranch has no effect without --allow-create-branch"));
  advance(1h);
  BOOST_TEST(git.remotes[url].pushes == 0U);
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

namespace {

/// As the daemon is with --allow-create-branch.
struct branch_maker : house {
  branch_maker() {
    allow_create_branch = true;
    git.publish(url, "main", "app", 1);
    open();
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(with_branches_made, branch_maker)

BOOST_AUTO_TEST_CASE(a_missing_branch_is_made_once_and_read) {
  auto o = an_object("a");
  o.spec.git->branch = "release";
  o.spec.git->create_branch = true;
  auto other = an_object("b");
  other.spec.git->branch = "other";
  list({o, other});
  BOOST_TEST(ready("a"));
  BOOST_TEST(git.remotes[url].pushes == 1U);
  BOOST_TEST(status("b").starts_with("Ready=False Error: spec.git.branch: branch \"other\" not found"));
  advance(1h);
  BOOST_TEST(git.remotes[url].pushes == 1U);
  git.publish(url, "release", "app", 3);
  BOOST_TEST(get<msg::sync_done>(repository_of("a"), msg::sync_now{}).ok);
}

BOOST_AUTO_TEST_CASE(a_branch_that_the_server_does_not_let_be_made) {
  git.remotes[url].push_fails = failure{ec::auth_rejected, "the branch could not be made", {}, "spec.git.createBranch", {}};
  auto o = an_object("a");
  o.spec.git->branch = "release";
  o.spec.git->create_branch = true;
  list({o});
  BOOST_TEST(status("a").starts_with("Ready=False Error: spec.git.createBranch: the branch could not be made"));
  BOOST_TEST(says("a", "Stalled=True"));
  const auto pushes = git.remotes[url].pushes;
  BOOST_TEST(pushes == 1U);
  advance(9min);
  BOOST_TEST(git.remotes[url].pushes == pushes);
}

BOOST_AUTO_TEST_SUITE_END()
