// links: veranda_house
#define BOOST_TEST_MODULE hosts
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

constexpr const char* git_example = "https://git.example";

std::string url_of(int number) { return std::string{git_example} + "/r" + std::to_string(number) + ".git"; }

/// Repositories `r0`, `r1`, ..., each on a remote of its own, all at one host; `there` at another.
struct hosts_fixture : house {
  explicit hosts_fixture(int repositories = 10) : count(repositories) {
    knows_hosts = true;
    for (int i = 0; i < count; ++i)
      git.publish(url_of(i), "main", "app", 1);
    git.publish(elsewhere, "main", "web", 1);
    machine.retry_initial = 5s;
    open();
  }
  void start() {
    std::vector<repository_object> all{an_object("there", elsewhere)};
    for (int i = 0; i < count; ++i)
      all.push_back(an_object("r" + std::to_string(i), url_of(i)));
    list(std::move(all));
  }
  void fail_all(std::optional<failure> why) {
    for (int i = 0; i < count; ++i)
      git.remotes[url_of(i)].listing_fails = why;
  }
  [[nodiscard]] unsigned asked() {
    unsigned n = 0;
    for (int i = 0; i < count; ++i)
      n += listings(url_of(i));
    return n;
  }
  [[nodiscard]] int that_say(const std::string& text) {
    int n = 0;
    for (int i = 0; i < count; ++i)
      n += says("r" + std::to_string(i), text) ? 1 : 0;
    return n;
  }
  auto sync_now(const std::string& name) { return ask<msg::sync_done>(repository_of(name), msg::sync_now{sync_cause::user, false}); }
  [[nodiscard]] std::optional<cell_view> host_cell() {
    for (const auto& c : env.cells->snapshot(git_example))
      if (c.kind == "host")
        return c;
    return std::nullopt;
  }

  static constexpr const char* elsewhere = "https://other.example/there.git";
  static inline const failure unreachable{ec::unreachable, "git.example: no connection", {}, "spec.git.repo", {}};
  int count;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(breaker, hosts_fixture)

BOOST_AUTO_TEST_CASE(a_host_that_is_down_is_asked_five_times_and_then_now_and_then) {
  fail_all(unreachable);
  start();
  BOOST_TEST(that_say("Ready=False") == count);
  BOOST_TEST(asked() <= static_cast<unsigned>(count)); // what was under way
  const auto before = asked();
  advance(10min);
  BOOST_TEST(that_say("HostUnavailable") >= count - 1); // but the one that tried
  BOOST_TEST(asked() - before <= 12U);
  BOOST_TEST(asked() - before >= 2U);
  BOOST_TEST(ready("there"));
  BOOST_TEST(telemetry->hosts_down == 1U);
  BOOST_TEST(telemetry->kept_back > 10U);
}

BOOST_AUTO_TEST_CASE(objects_say_host_since_when_cause_and_when_it_is_tried_again) {
  start();
  BOOST_TEST(that_say("Ready=True") == count);
  fail_all(unreachable);
  advance_until([&] { return that_say("HostUnavailable") >= count - 1; }, 1h);
  for (int i = 0; i < count; ++i) {
    const auto& said = status("r" + std::to_string(i));
    if (said.find("HostUnavailable") == std::string::npos)
      continue;
    BOOST_TEST(said.find("Ready=False HostUnavailable: https://git.example has not answered since 2026-03-10T10:") != std::string::npos, said);
    BOOST_TEST(said.find(" (git.example: no connection) (host_unavailable): ") != std::string::npos, said);
    BOOST_TEST(said.find("Reconciling=True Retrying: its host is tried again, by this or another repository, at 2026-03-10T1") != std::string::npos, said);
  }
  const auto cell = host_cell();
  BOOST_REQUIRE(cell.has_value());
  BOOST_TEST(cell->state == "unavailable");
  BOOST_TEST(cell->last_error.find("no connection") != std::string::npos);
  BOOST_REQUIRE(cell->timers.size() == 1U);
  BOOST_TEST(cell->timers.front().name == "probe");
}

BOOST_AUTO_TEST_CASE(all_come_back_when_it_does) {
  fail_all(unreachable);
  start();
  advance(30min);
  BOOST_TEST(that_say("Ready=False") == count);
  fail_all({});
  advance(6min);
  BOOST_TEST(that_say("Ready=True") == count);
  BOOST_TEST(telemetry->hosts_down == 0U);
  BOOST_TEST(!host_cell().has_value());
}

BOOST_AUTO_TEST_CASE(one_without_repositories_is_forgotten) {
  fail_all(unreachable);
  start();
  advance(30min);
  BOOST_TEST(telemetry->hosts_down == 1U);
  list({an_object("there", elsewhere)});
  advance(59min);
  BOOST_TEST(telemetry->hosts_down == 1U);
  advance(10min);
  BOOST_TEST(telemetry->hosts_down == 0U);
  BOOST_TEST(!host_cell().has_value());
}

BOOST_AUTO_TEST_CASE(a_person_tries_it_at_once_and_all_others_profit) {
  fail_all(unreachable);
  start();
  advance(30min);
  fail_all({});
  const auto before = asked();
  const auto done = sync_now("r3");
  settle();
  BOOST_REQUIRE(done->has_value());
  BOOST_TEST((*done)->ok());
  BOOST_TEST(asked() == before + 1);
  BOOST_TEST(telemetry->hosts_down == 0U);
  BOOST_TEST(ready("r3"));
}

BOOST_AUTO_TEST_CASE(while_one_tries_the_others_are_held_and_share_what_comes_of_it) {
  fail_all(unreachable);
  start();
  advance(30min);
  http->hold = true;
  const auto before = http->held.size();
  std::vector<answer<msg::sync_done>> asked_for;
  for (int i = 0; i < count; ++i)
    asked_for.push_back(sync_now("r" + std::to_string(i)));
  settle();
  BOOST_TEST(http->held.size() == before + 1);
  BOOST_TEST(host_cell()->state == "probing");
  http->release(); // it is still down
  settle();
  unsigned kept = 0;
  for (const auto& a : asked_for) {
    BOOST_REQUIRE(a->has_value());
    kept += (**a)->error.find("has not answered since") != std::string::npos ? 1U : 0U;
  }
  BOOST_TEST(kept == static_cast<unsigned>(count - 1));
  BOOST_TEST(http->held.empty()); // no second try for the next person
}

BOOST_AUTO_TEST_CASE(a_try_that_is_never_heard_of_holds_nobody_for_ever) {
  fail_all(unreachable);
  start();
  advance(30min);
  http->hold = true;
  const auto lost = sync_now("r0");
  settle();
  const auto waits = sync_now("r1");
  settle();
  BOOST_TEST(!waits->has_value());
  BOOST_REQUIRE(http->held.size() == 1U);
  http->held.clear();
  crash(remote_of(url_of(0)));
  http->hold = false;
  fail_all({});
  advance(2min + 1s);
  BOOST_REQUIRE(waits->has_value());
  advance(6min);
  BOOST_TEST(ready("r1"));
}

BOOST_AUTO_TEST_CASE(refusals_of_single_remotes_stop_nobody) {
  start();
  for (int i = 0; i < 9; ++i)
    git.remotes[url_of(i)].listing_fails = failure{ec::auth_rejected, "401", {}, {}, {}};
  advance(2h);
  BOOST_TEST(ready("r9"));
  BOOST_TEST(that_say("HostUnavailable") == 0);
}

BOOST_AUTO_TEST_CASE(bad_remotes_do_not_hurt_a_good_one_at_their_host) {
  start();
  for (int i = 0; i < 4; ++i) // of those that were well, fewer than it takes
    git.remotes[url_of(i)].listing_fails = failure{ec::unavailable, "HTTP 500", {}, {}, {}};
  advance(5h);
  for (int i = 4; i < count; ++i)
    BOOST_TEST(ready("r" + std::to_string(i)));
  BOOST_TEST(that_say("HostUnavailable") == 0);
}

BOOST_AUTO_TEST_CASE(without_the_keeper_hosts_are_asked_as_ever) {
  crash(hosts);
  fail_all(unreachable);
  start();
  advance(10min);
  BOOST_TEST(that_say("Ready=False Error") == count);
  fail_all({});
  advance(6min);
  BOOST_TEST(that_say("Ready=True") == count);
}

BOOST_AUTO_TEST_CASE(local_paths_have_no_host) {
  git.publish("/srv/git/packages", "main", "app", 1);
  start();
  put(an_object("local", "/srv/git/packages"));
  git.remotes["/srv/git/packages"].listing_fails = failure{ec::unavailable, "git upload-pack failed", {}, {}, {}};
  advance(3h);
  BOOST_TEST(says("local", "Ready=False Error"), status("local"));
  BOOST_TEST(telemetry->hosts_down == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(budgets, hosts_fixture)

BOOST_AUTO_TEST_CASE(the_whole_host_waits_and_nothing_is_said_of_those_who_were_not_told) {
  start();
  git.remotes[url_of(0)].listing_fails = failure{ec::throttled, "git.example: too many requests", {}, {}, 20min};
  const auto told = sync_now("r0");
  settle();
  BOOST_TEST(says("r0", "Ready=False Error"));
  git.remotes[url_of(0)].listing_fails.reset();
  const auto before = asked();
  const auto there = listings(elsewhere);
  advance(19min);
  BOOST_TEST(asked() == before);
  BOOST_TEST(listings(elsewhere) > there);
  BOOST_TEST(telemetry->hosts_paused == 1U);
  for (int i = 1; i < count; ++i)
    BOOST_TEST(ready("r" + std::to_string(i)));
  const auto waits = sync_now("r1"); // people, too
  settle();
  BOOST_REQUIRE(waits->has_value());
  BOOST_TEST((**waits)->error.find("https://git.example limits how often it is asked, and is left alone until 2026-03-10T10:20:") != std::string::npos, (**waits)->error);
  BOOST_TEST(asked() == before);
  const auto cells = env.cells->snapshot("team/r1");
  BOOST_REQUIRE(!cells.empty());
  BOOST_TEST((std::any_of(cells.begin(), cells.end(), [](const cell_view& c) {
    return std::any_of(c.details.begin(), c.details.end(), [](const auto& d) { return d.first == "waits" && d.second.find("is left alone until") != std::string::npos; });
  })));
  advance(15min);
  BOOST_TEST(asked() >= before + static_cast<unsigned>(count));
  BOOST_TEST(that_say("Ready=True") == count);
  BOOST_TEST(telemetry->hosts_paused == 0U);
}

BOOST_AUTO_TEST_CASE(a_fetch_waits_too) {
  start();
  git.publish(url_of(2), "main", "app", 2);
  git.remotes[url_of(2)].fetch_fails = failure{ec::throttled, "git.example: too many requests", {}, {}, 10min};
  sync_now("r2");
  settle();
  git.remotes[url_of(2)].fetch_fails.reset();
  const auto before = asked();
  advance(9min);
  BOOST_TEST(asked() == before);
  advance(12min);
  BOOST_TEST(cached("r2").size() == 3U);
}

BOOST_AUTO_TEST_CASE(no_host_silences_itself_for_more_than_an_hour) {
  start();
  git.remotes[url_of(0)].listing_fails = failure{ec::unavailable, "HTTP 503", {}, {}, 24h};
  sync_now("r0");
  settle();
  git.remotes[url_of(0)].listing_fails.reset();
  const auto before = asked();
  advance(59min);
  BOOST_TEST(asked() == before);
  advance(15min);
  BOOST_TEST(that_say("Ready=True") == count);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(restart, hosts_fixture)

BOOST_AUTO_TEST_CASE(what_was_synced_longest_ago_begins_first) {
  start();
  for (const int i : {7, 3, 5}) {
    advance(1min);
    sync_now("r" + std::to_string(i));
    settle();
  }
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  http->hold = true;
  git.publish("https://new.example/new.git", "main", "app", 1);
  open_supervisor();
  std::vector<repository_object> all;
  for (int i = 0; i < count; ++i)
    all.push_back(an_object("r" + std::to_string(i), url_of(i)));
  all.push_back(an_object("new", "https://new.example/new.git"));
  list(std::move(all));
  std::vector<std::string> order;
  for (const auto& h : http->held)
    order.push_back(h.wanted.remote.url);
  const std::vector<std::string> expected{"https://new.example/new.git", url_of(0), url_of(1), url_of(2), url_of(4), url_of(6), url_of(8), url_of(9), url_of(7), url_of(3), url_of(5)};
  BOOST_TEST(order == expected, boost::test_tools::per_element());
  http->release();
  settle();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(places, hosts_fixture)

BOOST_AUTO_TEST_CASE(who_waits_for_a_worker_can_say_where_and_why) {
  workers->hold = true;
  start();
  std::set<std::string> said;
  unsigned working = 0;
  for (int i = 0; i < count; ++i) {
    const auto view = get<msg::repository_state_view>(boss, key("r" + std::to_string(i)), msg::get_state{});
    BOOST_TEST(view.phase == "working");
    working += view.place.empty() ? 1U : 0U;
    if (!view.place.empty())
      said.insert(view.place);
  }
  BOOST_TEST(working >= 1U); // two slots, one of which may be for the other host
  BOOST_TEST(said.size() == static_cast<std::size_t>(count) - working);
  BOOST_TEST(said.contains("number 1 of " + std::to_string(count + 1 - 2) + " that wait for a worker: all workers are busy"));
  BOOST_TEST(said.contains("number 3 of " + std::to_string(count + 1 - 2) + " that wait for a worker: others of its namespace are before it, and namespaces take turns"));
  for (int i = 0; i < count; ++i)
    BOOST_TEST(!says("r" + std::to_string(i), "Error"));
  workers->release();
  settle();
  BOOST_TEST(that_say("Ready=True") == count);
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_connection_says_what_the_listings_say) {
  start();
  http->hold = true;
  sync_now("r0");
  settle();
  BOOST_REQUIRE(http->held.size() == 1U);
  BOOST_TEST(http->held.front().wanted.user);
  BOOST_TEST(get<msg::repository_state_view>(boss, key("r0"), msg::get_state{}).place.empty()); // it is listed
  http->waiting = http->held.front().wanted.cancel;
  BOOST_TEST(get<msg::repository_state_view>(boss, key("r0"), msg::get_state{}).place == "number 1 of 1 that wait for a connection: all connections are busy");
  http->release();
  settle();
}

BOOST_AUTO_TEST_CASE(who_waits_for_somebody_elses_try_says_so) {
  fail_all(unreachable);
  start();
  advance(30min);
  http->hold = true;
  sync_now("r0");
  sync_now("r1");
  settle();
  const auto view = get<msg::repository_state_view>(boss, key("r1"), msg::get_state{});
  BOOST_TEST(view.place == "waits until its host is known to answer: a try is under way");
  http->release();
  settle();
}

BOOST_AUTO_TEST_SUITE_END()
