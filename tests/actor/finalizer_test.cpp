// links: veranda_house
#define BOOST_TEST_MODULE finalizer
#include "tests/actor/held_house.hpp"
#include "tests/support/captured_log.hpp"

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_SUITE(finalizers, held_house)

BOOST_AUTO_TEST_CASE(is_set_before_anything_of_the_object_is_cached) {
  api->fail = failure{ec::unavailable, "the API server is away", {}, {}, {}};
  apply(an_object("a"));
  advance(10s);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(listings() == 0U);
  BOOST_TEST(says("a", "the finalizer config.porch.kpt.dev/repository could not be set"));
  api->fail.reset();
  advance(1min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST((api->done == names{"hold team/a"}));
}

BOOST_AUTO_TEST_CASE(is_not_set_again_when_it_is_there) {
  auto o = an_object("a");
  o.meta.finalizers = {"example.org/f", std::string{api_names::repository_finalizer}};
  apply(o);
  advance(1h);
  BOOST_TEST(ready("a"));
  BOOST_TEST(api->done.empty());
}

BOOST_AUTO_TEST_CASE(somebody_who_takes_it_away_finds_it_there_again) {
  apply(an_object("a"));
  api->take_off(key("a"), std::string{api_names::repository_finalizer});
  settle();
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(one_that_cannot_be_set_again_is_said_as_long_as_that_lasts) {
  const std::string ours{api_names::repository_finalizer};
  for (const bool set_by_us : {true, false})
    BOOST_TEST_CONTEXT((set_by_us ? "set by this actor" : "found there")) {
      const std::string name = set_by_us ? "a" : "b";
      auto o = an_object(name);
      if (!set_by_us) o.meta.finalizers = {ours};
      api->put(o);
      list_all();
      BOOST_TEST(ready(name));
      api->fail = failure{ec::auth_rejected, "patch is missing", {}, {}, {}};
      api->take_off(key(name), ours);
      settle();
      for (int n = 0; n < 30; ++n) {
        BOOST_TEST(says(name, "could not be set: patch is missing"), status(name));
        git.publish(url, "main", name + "-app" + std::to_string(n), 1); // syncs go on
        advance(1min);
      }
      BOOST_TEST(says(name, "could not be set: patch is missing"), status(name));
      api->fail.reset();
      advance(1min);
      BOOST_TEST(api->held(key(name)));
      BOOST_TEST(ready(name), status(name));
    }
}

BOOST_AUTO_TEST_CASE(one_that_somebody_else_sets_again_is_said_no_more) {
  auto o = an_object("a");
  o.meta.finalizers = {std::string{api_names::repository_finalizer}};
  apply(o);
  api->fail = failure{ec::auth_rejected, "patch is missing", {}, {}, {}};
  api->take_off(key("a"), std::string{api_names::repository_finalizer});
  settle();
  BOOST_TEST(says("a", "could not be set"));
  apply(o);
  BOOST_TEST(ready("a"), status("a"));
}

/// Two who do not agree must not write the object as fast as they can.
BOOST_AUTO_TEST_CASE(somebody_who_keeps_taking_it_away_finds_it_there_later_each_time) {
  apply(an_object("a"));
  const auto before = api->done.size();
  const auto log = logged([&] {
    for (int s = 0; s < 600; ++s) {
      if (api->held(key("a")))
        api->take_off(key("a"), std::string{api_names::repository_finalizer});
      advance(1s);
    }
  });
  BOOST_TEST(api->done.size() - before <= 10U); // at once, and then 1, 2, 4, ... 256 seconds after
  BOOST_TEST(count(log, "somebody keeps taking the finalizer away") == 1U, log);
  advance(5min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  advance(16min); // and forgets in peace
  for (int n = 0; n < 2; ++n) {
    api->take_off(key("a"), std::string{api_names::repository_finalizer});
    advance(1s);
    BOOST_TEST(api->held(key("a")));
  }
}

BOOST_AUTO_TEST_CASE(an_object_with_problems_is_held_once_they_are_gone) {
  auto o = an_object("a");
  o.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  apply(o);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(status("a").starts_with("Ready=False"));
  o.problems.clear();
  ++o.meta.generation;
  apply(o);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(goes_after_rows_and_mirror) {
  apply(an_object("a"));
  BOOST_TEST(git.mirrors.size() == 1U);
  remove_object("a");
  BOOST_TEST(!there("a"));
  BOOST_TEST(rows_at_mark == 1U);
  BOOST_TEST(rows_at_end == 0U);
  BOOST_TEST(mirrors_at_end == 0U);
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(a_mirror_that_others_use_is_not_waited_for) {
  apply(an_object("a"));
  apply(an_object("b"));
  remove_object("a");
  BOOST_TEST(!there("a"));
  BOOST_TEST(mirrors_at_end == 1U);
  BOOST_TEST(ready("b"));
}

BOOST_AUTO_TEST_CASE(a_mirror_that_takes_long_is_not_waited_for_long) {
  apply(an_object("a"));
  workers->hold = true;
  remove_object("a");
  BOOST_TEST(there("a"));
  BOOST_TEST(cache.rows.empty());
  advance(30s);
  BOOST_TEST(!there("a"));
  workers->release();
  settle();
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(a_sync_that_runs_is_stopped_at_once) {
  workers->hold = true;
  apply(an_object("a"));
  BOOST_REQUIRE(workers->held.size() == 1U);
  const auto cancel = workers->held.front().job.cancel;
  remove_object("a");
  BOOST_TEST(cancel->stop.load());
  BOOST_TEST(cache.rows.empty());
  workers->release();
  settle();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(rows_that_cannot_be_removed_keep_it) {
  apply(an_object("a"));
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove_object("a");
  advance(5min);
  BOOST_TEST(api->held(key("a")));
  cache.failing.clear();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(rows_at_end == 0U);
}

BOOST_AUTO_TEST_CASE(an_api_server_that_is_away_is_asked_again) {
  apply(an_object("a"));
  api->fail = failure{ec::unreachable, "refused", {}, {}, {}};
  remove_object("a");
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(api->held(key("a")));
  advance(1min);
  api->fail.reset();
  advance(10s);
  BOOST_TEST(!there("a"));
}

BOOST_AUTO_TEST_CASE(those_of_others_stay) {
  auto o = an_object("a");
  o.meta.finalizers = {"example.org/f"};
  apply(o);
  remove_object("a");
  BOOST_TEST((api->objects.at(key("a")).meta.finalizers == names{"example.org/f"}));
  BOOST_TEST(cache.rows.empty());
  const auto before = api->done.size();
  list_all(); // it is still being deleted: nothing is begun anew
  advance(1h);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(api->done.size() == before);
}

BOOST_AUTO_TEST_CASE(deleted_while_the_daemon_was_down) {
  apply(an_object("a"));
  apply(an_object("b", "https://git.example/other.git"));
  power_cut();
  deaf = true;
  remove_object("a");
  deaf = false;
  list_all();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.find(key("a")) == nullptr);
  BOOST_TEST(cache.find(key("b")) != nullptr);
  BOOST_TEST(rows_at_end == 1U);
}

BOOST_AUTO_TEST_CASE(one_that_was_never_seen_is_let_go) {
  auto o = an_object("a");
  o.meta.finalizers = {std::string{api_names::repository_finalizer}};
  o.meta.deleted = wall_now();
  apply(o);
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(listings() == 0U);
}

BOOST_AUTO_TEST_CASE(its_actor_dies_while_it_closes) {
  apply(an_object("a"));
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove_object("a");
  crash(repository_of("a"));
  settle();
  BOOST_TEST(there("a"));
  cache.failing.clear();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(deleted_while_its_actor_waits_for_a_restart) {
  apply(an_object("a"));
  crash(repository_of("a"));
  settle();
  remove_object("a");
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
}

/// The daemon dies after each number of steps of a deletion; the next one ends what it began, and nothing goes too early.
BOOST_AUTO_TEST_CASE(it_dies_at_any_step) {
  for (int steps = 0; steps < 60; ++steps) {
    BOOST_TEST_CONTEXT("after " << steps << " steps") {
      rows_at_end = 99;
      apply(an_object("a", url, "uid-" + std::to_string(steps)));
      BOOST_TEST(api->held(key("a")));
      api->remove(key("a"), wall_now());
      for (int n = 0; n < steps && !idle(); ++n)
        step();
      power_cut();
      list_all();
      advance(2min);
      BOOST_TEST(!there("a"));
      BOOST_TEST(cache.rows.empty());
      BOOST_TEST((rows_at_end == 0U));
      BOOST_TEST(seen().releases.empty());
    }
  }
}

/// And while it is created: what is cached is held.
BOOST_AUTO_TEST_CASE(it_dies_at_any_step_of_a_first_sync) {
  for (int steps = 0; steps < 60; ++steps) {
    BOOST_TEST_CONTEXT("after " << steps << " steps") {
      const auto o = an_object("a", url, "uid-" + std::to_string(steps));
      api->put(o);
      objects->put(o.meta.key, o.meta.uid);
      caf::anon_send(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::vector<repository_object>{o})});
      for (int n = 0; n < steps && !idle(); ++n) {
        step();
        BOOST_TEST((cache.rows.empty() || api->held(key("a"))));
      }
      power_cut();
      remove_object("a");
      list_all();
      advance(2min);
      BOOST_TEST(!there("a"));
      BOOST_TEST(cache.rows.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(made_anew_under_its_name_at_once) {
  apply(an_object("a"));
  workers->hold = true;
  remove_object("a");
  api->take_off(key("a"), std::string{api_names::repository_finalizer}); // by force
  auto anew = an_object("a", url, "uid-second");
  api->put(anew);
  list_all();
  workers->release();
  advance(2min);
  BOOST_TEST(ready("a"));
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.begin()->first == "uid-second");
  BOOST_TEST(seen().releases.empty());
}

/// Without a wish for finalizers none is set, and those that were are taken off.
BOOST_AUTO_TEST_CASE(turned_off_it_still_lets_go) {
  apply(an_object("a"));
  holds = false;
  power_cut();
  list_all();
  apply(an_object("b"));
  BOOST_TEST(!api->held(key("b")));
  BOOST_TEST(ready("b"));
  remove_object("a");
  remove_object("b");
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(!there("b"));
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(without_a_keeper_nothing_changes) {
  finalizers = nullptr;
  power_cut();
  auto o = an_object("a");
  apply(o);
  BOOST_TEST(ready("a"));
  o.meta.finalizers = {std::string{api_names::repository_finalizer}};
  o.meta.deleted = wall_now();
  apply(o);
  BOOST_TEST(api->done.empty());
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_SUITE_END()
