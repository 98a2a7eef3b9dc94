// links: veranda_house
#define BOOST_TEST_MODULE first_syncs
#include "tests/actor/whole_tree.hpp"

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_SUITE(first_syncs, whole_tree)

BOOST_AUTO_TEST_CASE(are_waited_for_and_counted) {
  git.remotes[other_url].listing_fails = failure{ec::unreachable, "refused", {}, {}, {}};
  auto suspended = an_object("c");
  suspended.meta.annotations[std::string{api_names::suspend_annotation}] = "true";
  auto broken = an_object("d");
  broken.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  auto oci = an_object("e");
  oci.spec.type = repository_type::oci;
  oci.spec.git.reset();
  oci.spec.oci.emplace();
  const auto early = await_first();
  workers->hold = true;
  list({an_object("a"), an_object("b", other_url), suspended, broken, oci});
  BOOST_TEST(!early->has_value());
  workers->release();
  settle();
  BOOST_REQUIRE(early->has_value());
  const auto sums = ***early;
  BOOST_TEST(sums.ready == 1U);
  BOOST_TEST(sums.failed == 3U); // unreachable, invalid, unsupported
  BOOST_TEST(sums.suspended == 1U);
  BOOST_TEST(await_first()->has_value());
}

BOOST_AUTO_TEST_CASE(of_an_empty_list_are_done_at_once) {
  const auto early = await_first();
  BOOST_TEST(!early->has_value());
  list({});
  BOOST_TEST(early->has_value());
}

BOOST_AUTO_TEST_CASE(that_are_redone_at_once_count_by_how_they_end) {
  cache.failing["apply_delta"] = {ec::conflict, "a tree was swept", {}, {}, {}};
  unsigned tries = 0;
  workers->instead = [&](const msg::job&) -> std::optional<result<msg::job_result>> {
    if (++tries == 2)
      cache.failing.clear();
    return std::nullopt;
  };
  const auto sums = await_first();
  list({an_object("a")});
  BOOST_REQUIRE(sums->has_value());
  BOOST_TEST((***sums).ready == 1U);
  BOOST_TEST((***sums).failed == 0U);
}

BOOST_AUTO_TEST_CASE(that_wait_for_a_place_in_the_queue_have_not_failed) {
  unsigned tries = 0;
  workers->instead = [&](const msg::job& job) -> std::optional<result<msg::job_result>> {
    if (job.kind == msg::job_kind::sync && ++tries == 1)
      return result<msg::job_result>{failure{ec::overloaded, "the queue of syncs is full", {}, {}, {}}};
    return std::nullopt;
  };
  const auto sums = await_first();
  list({an_object("a")});
  BOOST_TEST(!sums->has_value());
  advance_until([&] { return sums->has_value(); }, 10min);
  BOOST_TEST((***sums).ready == 1U);
}

BOOST_AUTO_TEST_CASE(of_one_that_becomes_invalid_meanwhile_have_failed) {
  workers->hold = true;
  const auto sums = await_first();
  list({an_object("a")});
  change("a", [](auto& o) { o.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"}); });
  workers->release();
  settle();
  BOOST_REQUIRE(sums->has_value());
  BOOST_TEST((***sums).failed == 1U);
}

BOOST_AUTO_TEST_CASE(of_one_that_is_deleted_meanwhile_are_not_waited_for) {
  workers->hold = true;
  const auto sums = await_first();
  list({an_object("a")});
  remove("a");
  BOOST_TEST(sums->has_value());
}

BOOST_AUTO_TEST_SUITE_END()
