// links: veranda_logic
#define BOOST_TEST_MODULE blocked_status
#include "actors/logic/condition_builder.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

const wall_time noon = *parse_rfc3339("2026-03-10T12:00:00Z");

condition one(std::string type, std::string status) { return {std::move(type), std::move(status), "Before", "as it was", noon - 1h, 3}; }

} // namespace

BOOST_AUTO_TEST_CASE(it_says_why_and_nothing_else) {
  repository_status published;
  published.conditions = {one("Ready", "True"), one("PackagesDegraded", "True")};
  published.package_count = 7;
  const auto said = blocked_status(published, "it waits", 4, noon);
  BOOST_REQUIRE(said.conditions.size() == 1U);
  BOOST_CHECK((said.conditions[0] == condition{"Ready", "False", "Error", "it waits", noon, 4}));
  BOOST_CHECK((said.package_count == published.package_count));
}

BOOST_AUTO_TEST_CASE(its_time_is_that_of_the_transition_wherever_ready_stands) {
  repository_status published;
  BOOST_CHECK((blocked_status(published, "why", 4, noon).conditions[0].last_transition == noon));
  published.conditions = {one("TheirOwn", "True"), one("Ready", "False")};
  BOOST_CHECK((blocked_status(published, "why", 4, noon).conditions[0].last_transition == noon - 1h));
}

BOOST_AUTO_TEST_CASE(its_text_is_bounded_and_of_one_line) {
  const auto text = blocked_status({}, "first\nsecond" + std::string(10'000, 'x'), 1, noon).conditions[0].message;
  BOOST_TEST(text.starts_with("first second"));
  BOOST_TEST(text.size() <= 4096U);
}
