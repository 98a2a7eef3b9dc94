// links: veranda_logic
#define BOOST_TEST_MODULE deletion_hold
#include "actors/logic/condition_builder.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "tests/support/lost_revisions.hpp"
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

const std::optional<deletion_hold> nothing;

std::optional<deletion_hold> judge(const package_delta& delta, unsigned percent = 50, const std::optional<deletion_hold>& standing = nothing, std::string_view permit = {},
                                   wall_time now = at(10, 0), const sync_basis& before = here) {
  return hold_removals(delta, {.standing = standing, .before = before, .max_percent = percent, .permit = permit, .cause = "why", .now = now});
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_rule)

BOOST_AUTO_TEST_CASE(holds_at_least_ten_and_more_than_the_percentage) {
  struct row {
    std::size_t cached, lost;
    unsigned percent;
    bool held;
  };
  for (const auto& [cached, lost, percent, held] : std::vector<row>{
         {0, 0, 50, false},      // nothing cached: a first sync
         {9, 9, 50, false},      // all, but fewer than ten
         {10, 10, 50, true},     // exactly ten
         {20, 10, 50, false},    // exactly half
         {19, 10, 50, true},     // more than half
         {21, 11, 50, true},
         {1000, 500, 50, false},
         {1000, 501, 50, true},
         {1000, 9, 0, false},
         {1000, 10, 0, true}, // 0: any ten
         {1000, 1000, 99, true},
         {1000, 990, 99, false},
         {1000, 1000, 100, false}, // 100: never
       })
    BOOST_TEST(judge(losing(cached, lost), percent).has_value() == held, cached << " " << lost << " " << percent);
}

BOOST_AUTO_TEST_CASE(additions_do_not_dilute) {
  BOOST_TEST(judge(losing(20, 20, 1000)).has_value());
}

BOOST_AUTO_TEST_CASE(says_how_many_of_how_many_and_why) {
  const auto hold = judge(losing(25, 20));
  BOOST_REQUIRE(hold);
  BOOST_TEST(hold->count == 20U);
  BOOST_TEST(hold->total == 25U);
  BOOST_TEST(hold->base == 25U);
  BOOST_TEST(hold->cause == "why");
  BOOST_TEST((hold->since == at(10, 0)));
  BOOST_TEST((hold->agreed == at(10, 0)));
  BOOST_TEST(hold->permit.starts_with("20-"));
  BOOST_TEST(hold->permit.size() == 15U);
}

BOOST_AUTO_TEST_CASE(leaves_another_url_branch_or_directory_to_the_user) {
  auto elsewhere = moved;
  elsewhere.source = "there";
  BOOST_TEST(!judge(losing(20, 20, 0, elsewhere)));
  auto unknown = here;
  unknown.source.clear(); // a cache from before this rule
  BOOST_TEST(judge(losing(20, 20), 50, nothing, {}, at(10, 0), unknown).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_standing_hold)

BOOST_AUTO_TEST_CASE(stays_the_same_as_long_as_the_same_are_missing) {
  const auto first = judge(losing(25, 20));
  const auto again = judge(losing(30, 20), 50, first, {}, at(11, 0)); // five were added
  BOOST_TEST((again == first));
}

BOOST_AUTO_TEST_CASE(is_not_diluted_by_what_was_added_since) {
  const auto first = judge(losing(20, 20, 30));
  BOOST_TEST(judge(losing(50, 20), 50, first).has_value()); // 40 % of what is cached now, all of what was
}

BOOST_AUTO_TEST_CASE(is_another_when_others_are_missing) {
  const auto first = judge(losing(25, 20));
  const auto more = judge(losing(25, 21), 50, first, first->permit, at(11, 0)); // the permit was for the twenty
  BOOST_REQUIRE(more);
  BOOST_TEST(more->permit != first->permit);
  BOOST_TEST((more->since == first->since));
  BOOST_TEST((more->agreed == at(11, 0)));
}

BOOST_AUTO_TEST_CASE(ends_when_they_come_back_or_too_few_are_missing) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 0), 50, first));
  BOOST_TEST(!judge(losing(25, 9), 50, first));
  BOOST_TEST(!judge(losing(25, 12), 50, first)); // 48 %
  BOOST_TEST(judge(losing(25, 13), 50, first).has_value());
}

BOOST_AUTO_TEST_CASE(ends_with_its_permit_and_no_other) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 20), 50, first, first->permit));
  BOOST_TEST(judge(losing(25, 20), 50, first, "20-000000000000").has_value());
  BOOST_TEST(judge(losing(25, 20), 50, first, "20").has_value());
}

BOOST_AUTO_TEST_CASE(has_a_permit_that_fits_no_later_one_of_the_same) {
  const auto first = judge(losing(25, 20));
  const auto later = judge(losing(25, 20), 50, nothing, first->permit, at(12, 0));
  BOOST_REQUIRE(later);
  BOOST_TEST(later->permit != first->permit);
}

BOOST_AUTO_TEST_CASE(ends_where_the_setting_allows_it_now) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 20), 80, first));
}

BOOST_AUTO_TEST_CASE(of_a_cache_that_was_lost_is_judged_by_what_is_there) {
  const auto first = judge(losing(1000, 600));
  BOOST_TEST(judge(losing(12, 12), 50, first).has_value());
  BOOST_TEST(!judge(losing(0, 0), 50, first));
}

BOOST_AUTO_TEST_CASE(no_more_is_held_than_was_there_when_it_began) {
  const auto first = judge(losing(25, 20));
  BOOST_REQUIRE(first.has_value());
  const auto churned = losing(145, 140); // 120 came since, and went
  const auto hold = judge(churned, 50, first);
  BOOST_REQUIRE(hold.has_value());
  BOOST_TEST(hold->count == 25U);
  BOOST_TEST(hold->base == 25U);
  const auto rest = without_held(churned, *hold);
  BOOST_TEST(rest.stats.cached_only == 115U);
  BOOST_TEST(rest.stats.revisions == 30U);
  BOOST_TEST(rest.removed == std::vector<std::string>(churned.removed.begin(), churned.removed.end() - 25), boost::test_tools::per_element()); // the newest
  BOOST_TEST((judge(churned, 50, hold) == hold)); // and its permit stays good
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(a_delta_without_its_removals_counts_what_stays) {
  const auto delta = losing(25, 20, 3);
  const auto kept = without_held(delta, *judge(delta));
  BOOST_TEST(kept.removed.empty());
  BOOST_TEST(kept.added.size() == 3U);
  BOOST_TEST(kept.stats.cached_only == 0U);
  BOOST_TEST(kept.stats.revisions == 28U);
  BOOST_TEST(kept.stats.external_only == 3U);
  BOOST_TEST((kept.basis == delta.basis));
}

BOOST_AUTO_TEST_CASE(causes) {
  BOOST_TEST(cause_of_removals(here, moved, "main", "directory \"x\" does not exist") == "directory \"x\" does not exist");
  BOOST_TEST(cause_of_removals(here, moved, "main", "") == "since the last sync branch \"main\" moved from 11111111 to 22222222");
  auto refs = here;
  refs.digest = "refs 2";
  BOOST_TEST(cause_of_removals(here, refs, "main", "") == "since the last sync tags, drafts or proposals were removed");
  BOOST_TEST(cause_of_removals(here, here, "main", "") == "a comparison with the remote no longer finds them");
}
