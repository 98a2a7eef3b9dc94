// links: veranda_house
#define BOOST_TEST_MODULE repository_hold
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

/// A repository of 25 published revisions and a package on the branch.
struct many : house {
  many() {
    git.publish(url, "main", "p0", 1);
    for (int n = 1; n < 25; ++n)
      git.remotes[url].objects.set_ref("refs/tags/p0/v" + std::to_string(n + 1), git.remotes[url].objects.refs().at("refs/tags/p0/v1"));
    open();
    list({an_object("a")});
    before = cached("a");
  }
  void lose(int count) {
    for (int n = 1; n <= count; ++n)
      git.remotes[url].objects.remove_ref("refs/tags/p0/v" + std::to_string(n + 1));
  }
  const durable_state& kept() { return cache.rows.at("uid-a").state; }
  void allow(const std::string& permit) {
    change("a", [&](repository_object& o) { o.meta.annotations[std::string{api_names::allow_deletion_annotation}] = permit; });
    settle();
  }

  std::vector<std::string> before;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(many_removals, many)

BOOST_AUTO_TEST_CASE(are_held_and_what_else_came_is_taken) {
  BOOST_TEST(before.size() == 26U);
  lose(20);
  git.publish(url, "main", "web", 1);
  advance(10min);
  BOOST_TEST(cached("a").size() == 28U); // with web's published revision and its package on the branch
  BOOST_TEST(ready("a"));
  BOOST_TEST(says("a", "DeletionHeld=True TooManyRemovals: 21 of 26 package revisions are gone")); // p0 is no longer at the tip
  BOOST_REQUIRE(kept().hold);
  BOOST_TEST(kept().hold->count == 21U);
  BOOST_TEST(kept().revisions == 28U);
}

BOOST_AUTO_TEST_CASE(cost_a_listing_while_they_are_held) {
  lose(20);
  advance(10min);
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
  const auto jobs = workers->done.size();
  const auto applied = cache.count("apply_delta");
  advance(10min);
  advance(10min);
  BOOST_TEST(telemetry->unchanged == 2U);
  BOOST_TEST(workers->done.size() == jobs);
  BOOST_TEST(cache.count("apply_delta") == applied);
  BOOST_TEST(kept().hold.has_value());
}

BOOST_AUTO_TEST_CASE(are_carried_out_at_once_when_allowed) {
  lose(20);
  advance(10min);
  allow(kept().hold->permit);
  BOOST_TEST(cached("a").size() == 6U);
  BOOST_TEST(!says("a", "DeletionHeld"));
  BOOST_TEST(!kept().hold);
  BOOST_TEST(last_run("a").stats.cached_only == 20U);
}

BOOST_AUTO_TEST_CASE(are_not_carried_out_by_another_permit) {
  lose(20);
  advance(10min);
  const auto permit = kept().hold->permit;
  allow("20");
  allow(permit + "0");
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
  lose(21);
  allow(permit); // it was for twenty
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
  BOOST_TEST(kept().hold->count == 21U);
}

BOOST_AUTO_TEST_CASE(that_come_back_are_held_no_more) {
  const auto refs = git.remotes[url].objects.refs();
  lose(20);
  advance(10min);
  for (const auto& [name, id] : refs)
    git.remotes[url].objects.set_ref(name, id);
  advance(10min);
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
  BOOST_TEST(!says("a", "DeletionHeld"));
  BOOST_TEST(!kept().hold);
}

BOOST_AUTO_TEST_CASE(stay_held_through_a_full_comparison) {
  lose(20);
  advance(10min);
  const auto hold = kept().hold;
  const auto done = get<msg::sync_done>(repository_of("a"), msg::sync_now{sync_cause::user, true});
  BOOST_TEST(!done.unchanged);
  BOOST_TEST(done.stats.cached_only == 0U);
  BOOST_TEST((kept().hold == hold));
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(by_another_directory_are_what_was_asked_for) {
  change("a", [](repository_object& o) { o.spec.git->directory = "nowhere"; });
  settle();
  BOOST_TEST(cached("a").empty());
  BOOST_TEST(!says("a", "DeletionHeld"));
}

BOOST_AUTO_TEST_CASE(of_a_deleted_repository_are_what_was_asked_for) {
  lose(20);
  advance(10min);
  remove("a");
  settle();
  BOOST_TEST(!cache.rows.contains("uid-a"));
}

BOOST_AUTO_TEST_CASE(are_held_again_by_a_new_actor) {
  lose(20);
  advance(10min);
  const auto permit = kept().hold->permit;
  crash(repository_of("a"));
  settle();
  advance(2s);
  BOOST_TEST(says("a", "DeletionHeld=True"));
  BOOST_TEST(kept().hold->permit == permit);
  allow(permit);
  BOOST_TEST(cached("a").size() == 6U);
}

BOOST_AUTO_TEST_CASE(allowed_but_not_stored_are_carried_out_later) {
  lose(20);
  advance(10min);
  cache.failing["apply_delta"] = failure{ec::unavailable, "the disk is full", {}, {}, {}};
  allow(kept().hold->permit);
  BOOST_TEST(cached("a") == before, boost::test_tools::per_element());
  cache.failing.clear();
  advance(1min);
  BOOST_TEST(cached("a").size() == 6U);
  BOOST_TEST(!says("a", "DeletionHeld"));
}

BOOST_AUTO_TEST_SUITE_END()
