// links: veranda_house
#define BOOST_TEST_MODULE repository_object
#include "tests/actor/one_repository.hpp"

using namespace veranda;
using namespace veranda::test;

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
