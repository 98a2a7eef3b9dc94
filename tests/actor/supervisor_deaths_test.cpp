// links: veranda_house
#define BOOST_TEST_MODULE supervisor_deaths
#include "tests/actor/whole_tree.hpp"

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_SUITE(after_a_restart_of_the_daemon, whole_tree)

BOOST_AUTO_TEST_CASE(what_was_synced_costs_a_listing) {
  list({an_object("a")});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(!alive(boss));
  const auto jobs = workers->count("sync");
  open_supervisor();
  list({an_object("a")});
  BOOST_TEST(ready("a"));
  BOOST_TEST(workers->count("sync ") == jobs);
  BOOST_TEST(telemetry->unchanged == 1U);
}

BOOST_AUTO_TEST_CASE(many_come_back_without_a_storm) {
  constexpr unsigned count = 300;
  std::vector<repository_object> all;
  for (unsigned i = 0; i < count; ++i) {
    const auto path = "/srv/git/r" + std::to_string(i);
    git.publish(path, "main", "app", 1);
    all.push_back(an_object("r" + std::to_string(i), path));
  }
  list(all);
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  workers->done.clear();
  workers->most_under_way = 0;
  const auto writes = cache.count("apply_delta");
  open_supervisor();
  workers->hold = true;
  list(all);
  BOOST_TEST(workers->held.size() == logic::admission_limits{}.slots); // of listers; the others wait their turn
  while (!workers->held.empty()) {
    workers->release_one();
    settle();
  }
  BOOST_TEST(workers->most_under_way == logic::admission_limits{}.slots);
  BOOST_TEST(workers->count("list ") == count);
  BOOST_TEST(workers->count("sync ") == 0U);
  BOOST_TEST(cache.count("apply_delta") == writes);
  BOOST_TEST(std::ranges::all_of(all, [&](const auto& o) { return ready(o.meta.key.name); }));
}

BOOST_AUTO_TEST_CASE(rows_and_mirrors_of_objects_that_went_meanwhile_are_removed) {
  list({an_object("a"), an_object("b", other_url)});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(cache.rows.size() == 2U);
  open_supervisor();
  list({an_object("a")});
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.find(key("b")) == nullptr);
  BOOST_TEST(workers->count("sweep_mirrors") == 2U);
}

BOOST_AUTO_TEST_CASE(of_each_object_one_change_waits_for_the_durable_states) {
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  cache.failing["states"] = failure{ec::unavailable, "no space left on device", {}, {}, {}};
  open_supervisor();
  list({an_object("a"), an_object("gone", other_url)});
  for (int i = 0; i < 50; ++i) {
    change("a", [&](repository_object& o) { o.meta.annotations["turn"] = std::to_string(i); });
    put(an_object("b" + std::to_string(i)));
    remove("b" + std::to_string(i));
  }
  change("a", [](repository_object& o) { o.spec.git->repo = other_url; });
  remove("gone");
  BOOST_TEST(seen().waiting_changes.size() == 2U);
  cache.failing.clear();
  advance(5s);
  BOOST_TEST((running_names() == std::set<std::string>{"a"}));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cached("a").front().find("web") != std::string::npos); // as it was changed last
}

BOOST_AUTO_TEST_CASE(one_made_anew_meanwhile_replaces_the_rows_of_the_old_one) {
  list({an_object("a")});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  open_supervisor();
  list({an_object("a", url, "uid-second")});
  advance(5s);
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.count("uid-second") == 1U);
  BOOST_TEST(telemetry->restarts == 0U); // nobody took the new one's rows away
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(deaths, whole_tree)

BOOST_AUTO_TEST_CASE(a_repository_is_restarted_after_a_second_with_what_it_knew) {
  list({an_object("a")});
  const auto first = repository_of("a");
  const auto jobs = workers->count("sync ");
  crash(first);
  settle();
  BOOST_TEST(!alive(first));
  advance(900ms);
  BOOST_TEST(!repository_of("a"));
  advance(200ms);
  BOOST_TEST(alive(repository_of("a")));
  BOOST_TEST(workers->count("sync ") == jobs); // its basis was durable
  BOOST_TEST(telemetry->restarts == 1U);
}

BOOST_AUTO_TEST_CASE(a_store_that_is_away_when_it_is_to_be_restarted_is_no_death) {
  list({an_object("a")});
  crash(repository_of("a"));
  cache.failing["states"] = failure{ec::unavailable, "no space left on device", {}, {}, {}};
  advance(5min);
  BOOST_TEST(!repository_of("a"));
  BOOST_TEST(telemetry->restarts == 1U);
  cache.failing.clear();
  advance(2s + 100ms); // without the wait that follows many deaths
  BOOST_TEST(alive(repository_of("a")));
  BOOST_TEST(says("a", "Ready=True"));
}

BOOST_AUTO_TEST_CASE(one_whose_durable_state_is_damaged_is_restarted_without) {
  list({an_object("a")});
  crash(repository_of("a"));
  cache.failing["states"] = failure{ec::corrupt_cache, "the file is damaged", {}, {}, {}};
  advance(1s + 100ms);
  BOOST_TEST(alive(repository_of("a")));
  BOOST_TEST(telemetry->restarts == 1U);
}

BOOST_AUTO_TEST_CASE(its_job_is_stopped_with_it) {
  workers->hold = true;
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
}

BOOST_AUTO_TEST_CASE(its_job_is_stopped_even_when_it_is_killed) {
  workers->hold = true;
  list({an_object("a")});
  caf::anon_send_exit(repository_of("a"), caf::exit_reason::kill);
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
}

BOOST_AUTO_TEST_CASE(five_in_a_row_are_said_in_the_condition_and_the_waits_double) {
  git.remotes[url].listing_fails = failure{ec::unreachable, "refused", {}, {}, {}}; // so that no first sync resets the count
  list({an_object("a")});
  for (int i = 0; i < 5; ++i) {
    crash(repository_of("a"));
    settle();
    BOOST_TEST(says("a", "ended 5 times in a row") == (i == 4));
    advance(std::chrono::seconds{1 << i} - 100ms);
    BOOST_TEST(!repository_of("a"));
    advance(200ms);
    BOOST_TEST(alive(repository_of("a")));
  }
  git.remotes[url].listing_fails.reset();
  advance_until([&] { return ready("a"); }, 10min);
  crash(repository_of("a")); // a good sync starts the count anew
  advance(1s + 100ms);
  BOOST_TEST(alive(repository_of("a")));
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_idle_is_started_again) {
  list({an_object("a"), an_object("b")});
  const auto old = remote_of();
  crash(old);
  settle();
  BOOST_TEST(!alive(old));
  BOOST_TEST(!remote_of());
  advance(1s);
  BOOST_TEST(alive(remote_of()));
  BOOST_TEST(state_of<remote_state>(remote_of()).members.size() == 2U);
  git.publish(url, "main", "late", 1);
  advance(10min);
  BOOST_TEST(cached("a").size() == 3U);
  BOOST_TEST(cached("b").size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_again_and_again_stays_away_twice_as_long_each_time) {
  list({an_object("a")});
  for (int i = 0; i < 5; ++i) {
    crash(remote_of());
    settle();
    caf::anon_send(repository_of("a"), msg::sync_now{sync_cause::user, false});
    settle();
    BOOST_TEST(says("a", "the actor of its remote ended 5 times in a row") == (i == 4)); // the first ones are not worth a word
    advance(std::chrono::seconds{1 << i} - 100ms);
    BOOST_TEST(!remote_of());
    advance(200ms);
    BOOST_TEST(alive(remote_of()));
  }
  advance_until([&] { return ready("a"); }, 10min);
  advance(5min); // one that lived this long starts the count anew
  crash(remote_of());
  advance(1s + 100ms);
  BOOST_TEST(alive(remote_of()));
}

BOOST_AUTO_TEST_CASE(who_comes_and_goes_while_a_remote_is_away_is_served_when_it_is_back) {
  list({an_object("a"), an_object("b")});
  crash(remote_of());
  settle();
  put(an_object("late"));
  remove("b");
  advance_until([&] { return ready("late") && !seen().entries.contains(key("b")); }, 20s);
  BOOST_TEST(state_of<remote_state>(remote_of()).members.size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_remote_whose_last_repository_leaves_while_it_is_away_removes_its_mirror) {
  list({an_object("a")});
  crash(remote_of());
  settle();
  remove("a");
  advance(5s);
  BOOST_TEST(git.mirrors.empty());
  BOOST_TEST(seen().remotes.empty());
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_while_it_lists_costs_no_deadline) {
  http->hold = true;
  list({an_object("a")});
  crash(remote_of());
  settle();
  http->release();
  advance_until([&] { return ready("a"); }, 15s);
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_during_a_job_costs_no_deadline) {
  workers->hold = true;
  list({an_object("a")});
  crash(remote_of());
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
  workers->release();
  advance_until([&] { return ready("a"); }, 15s);
  BOOST_TEST(workers->broken_rules.empty());
}

BOOST_AUTO_TEST_CASE(a_remote_that_ends_while_somebody_joins_it_is_started_again) {
  list({an_object("a")});
  remove("a");
  put(an_object("b"));
  advance_until([&] { return ready("b"); }, 15s);
  BOOST_TEST(git.mirrors.size() == 1U);
}

BOOST_AUTO_TEST_CASE(at_its_own_end_it_takes_everybody_along) {
  list({an_object("a"), an_object("b", other_url)});
  const auto a = repository_of("a");
  const auto r = remote_of();
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(!alive(a));
  BOOST_TEST(!alive(r));
  BOOST_TEST(cache.rows.size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
