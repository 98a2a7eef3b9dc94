// links: veranda_logic
#define BOOST_TEST_MODULE mirror_budget
#include "actors/logic/mirror_budget.hpp"

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mib = 1U << 20U;

/// Names in the order in which they may go.
std::string order(std::vector<mirror_use> mirrors, std::uint64_t max_bytes) {
  std::string names;
  for (const auto& m : removal_order(std::move(mirrors), max_bytes))
    names += m.name;
  return names;
}

} // namespace

BOOST_AUTO_TEST_CASE(the_least_recently_used_goes_first_and_the_one_used_last_stays) {
  const std::vector<mirror_use> three{{"b", "", 40, wall_time{2s}}, {"c", "", 50, wall_time{3s}}, {"a", "", 30, wall_time{1s}}};
  BOOST_TEST(order(three, 100) == "ab");
  BOOST_TEST(order({three[0]}, 40) == "", "alone, and it fits");
  BOOST_TEST(order({}, 1) == "");
}

BOOST_AUTO_TEST_CASE(of_those_used_at_the_same_time_the_first_by_name_goes) {
  BOOST_TEST(order({{"z", "", 1, wall_time{1s}}, {"x", "", 1, wall_time{1s}}, {"y", "", 1, wall_time{1s}}}, 2) == "xy");
}

BOOST_AUTO_TEST_CASE(one_that_can_never_fit_goes_before_all_others) {
  const std::vector<mirror_use> some{{"old", "", 30, wall_time{1s}}, {"huge", "", 101, wall_time{2s}}, {"new", "", 30, wall_time{3s}}};
  BOOST_TEST(order(some, 100) == "hugeold");
  BOOST_TEST(order({some[0], {"huge", "", 101, wall_time{9s}}}, 100) == "hugeold", "although it was used last");
}

BOOST_AUTO_TEST_CASE(one_may_take_half_of_what_all_may) {
  BOOST_TEST(most_of_one(64 * mib) == 32 * mib);
  BOOST_TEST(most_of_one(0) == 0U, "no limit stays none");
}

BOOST_AUTO_TEST_CASE(packs_are_outgrown_beyond_twice_of_what_they_were_and_a_little) {
  BOOST_TEST(!outgrown(1'000 * mib, 0), "what they were is not known");
  BOOST_TEST(!outgrown(21 * mib, 10 * mib));
  BOOST_TEST(outgrown(21 * mib + 1, 10 * mib));
  BOOST_TEST(!outgrown(mib, 1), "small ones are left alone");
  BOOST_TEST(!outgrown(0, 10));
  BOOST_TEST(!outgrown(std::numeric_limits<std::uint64_t>::max(), std::numeric_limits<std::uint64_t>::max()));
  BOOST_TEST(outgrown(std::numeric_limits<std::uint64_t>::max(), 1));
}
