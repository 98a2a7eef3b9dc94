// links: veranda_house
#define BOOST_TEST_MODULE ending
#include "tests/actor/whole_tree.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

/// A daemon of one worker that is told to end while it has something to do.
struct ending_fixture : whole_tree {
  ending_fixture() : whole_tree(1) { list({an_object("a"), an_object("b", other_url)}); }

  /// Something new for the next sync of this remote.
  void push(const std::string& repo, const std::string& package) { git.publish(repo, "main", package, 2); }
  /// As SIGTERM does it.
  void end() {
    exit_now(pool, caf::exit_reason::user_shutdown);
    exit_now(boss, caf::exit_reason::user_shutdown);
    settle();
  }
  answer<msg::sync_done> sync_now(const std::string& name) { return ask<msg::sync_done>(repository_of(name), msg::sync_now{sync_cause::user, false}); }
  std::size_t rows(const std::string& name) { return cached(name).size(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(told_to_end, ending_fixture)

BOOST_AUTO_TEST_CASE(it_ends_at_once_without_work) {
  end();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(rows("a") == 2U);
}

BOOST_AUTO_TEST_CASE(what_works_on_its_mirror_comes_to_its_end) {
  push(url, "app");
  workers->hold = true;
  sync_now("a");
  settle();
  end();
  BOOST_TEST(alive(boss));
  BOOST_TEST(!workers->held.front().job.cancel->stop);
  workers->release();
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(rows("a") == 3U);
  BOOST_TEST(ready("a"));
  BOOST_TEST(status("a").find("Reconciling") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(nobody_waits_for_a_listing) {
  push(url, "app");
  http->hold = true;
  sync_now("a");
  settle();
  const auto said = status("a");
  end();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(rows("a") == 2U);
  BOOST_TEST(status("a") == said);
}

BOOST_AUTO_TEST_CASE(what_waits_for_a_worker_is_left_to_the_next_life) {
  push(url, "app");
  push(other_url, "web");
  workers->hold = true;
  sync_now("a");
  sync_now("b");
  settle();
  BOOST_TEST(workers->held.size() == 1U);
  end();
  BOOST_TEST(alive(boss));
  workers->release();
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(rows("a") == 3U);
  BOOST_TEST(rows("b") == 2U);
  BOOST_TEST(!says("b", "Error"));
  start_again();
  list({an_object("a"), an_object("b", other_url)});
  BOOST_TEST(rows("b") == 3U);
  BOOST_TEST(ready("b"));
}

BOOST_AUTO_TEST_CASE(nothing_begins_meanwhile) {
  push(url, "app");
  workers->hold = true;
  sync_now("a");
  settle();
  end();
  push(url, "app");
  const auto asked = listings(url);
  sync_now("a");
  put(an_object("c"));
  change("a", [](repository_object& o) { o.spec.git->directory = "elsewhere"; });
  BOOST_TEST((running_names() == std::set<std::string>{"a", "b"}));
  workers->release();
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(listings(url) == asked);
  BOOST_TEST(workers->under_way.empty());
}

BOOST_AUTO_TEST_CASE(nothing_is_said_of_what_fails_at_the_end) {
  push(url, "app");
  workers->hold = true;
  workers->instead = [](const msg::job& job) -> std::optional<result<msg::job_result>> {
    if (job.kind != msg::job_kind::sync)
      return std::nullopt;
    return result<msg::job_result>{failure{ec::unreachable, "the connection was reset", job.remote.url, {}, {}}};
  };
  sync_now("a");
  settle();
  end();
  workers->release();
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(!says("a", "Error"));
}

BOOST_AUTO_TEST_CASE(what_does_not_end_in_time_is_stopped) {
  push(url, "app");
  workers->hold = true;
  sync_now("a");
  settle();
  const auto running = workers->held.front().job.cancel;
  end();
  exit_now(boss, caf::exit_reason::kill);
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(running->stop.load());
  BOOST_TEST(rows("a") == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
