// links: veranda_logic
#define BOOST_TEST_MODULE event_aggregator
#include "actors/logic/event_aggregator.hpp"

#include <boost/test/unit_test.hpp>

#include <vector>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

struct teller {
  explicit teller(const event_policy& policy = {}) : events(policy) {}
  std::optional<event_record> say(const std::string& message, const std::string& reason = "Error", const std::string& name = "a", const std::string& uid = "1",
                                  bool warning = true) {
    now += step;
    return events.take({{"team", name}, uid, warning, reason, message}, now);
  }
  event_aggregator events;
  wall_time now = std::chrono::sys_days{std::chrono::year{2026} / 3 / 10};
  std::chrono::seconds step{1};
};

} // namespace

BOOST_AUTO_TEST_CASE(what_is_new_is_made_and_what_is_said_again_is_counted) {
  teller t;
  const auto first = t.say("no route");
  BOOST_REQUIRE(first);
  BOOST_TEST(first->count == 1U);
  BOOST_TEST((first->first == t.now && first->last == t.now));
  BOOST_TEST(first->name.starts_with("a."));
  BOOST_TEST(first->name.find_first_not_of("0123456789abcdef", 2) == std::string::npos, first->name);
  const auto second = t.say("no route");
  BOOST_REQUIRE(second);
  BOOST_TEST(second->name == first->name);
  BOOST_TEST(second->count == 2U);
  BOOST_TEST((second->first == first->first && second->last == t.now));
}

BOOST_AUTO_TEST_CASE(another_message_reason_type_object_or_life_is_another_event) {
  teller t;
  const auto base = t.say("x");
  for (const auto& other : {t.say("y"), t.say("x", "Stalled"), t.say("x", "Error", "b"), t.say("x", "Error", "a", "2"), t.say("x", "Error", "a", "1", false)}) {
    BOOST_REQUIRE(other);
    BOOST_TEST(other->count == 1U);
    BOOST_TEST(other->name != base->name);
  }
  BOOST_TEST(t.say("x")->count == 2U);
}

BOOST_AUTO_TEST_CASE(from_the_tenth_different_message_of_one_reason_they_are_combined) {
  teller t;
  for (int i = 1; i <= 9; ++i) {
    const auto e = t.say("at " + std::to_string(i));
    BOOST_TEST(e->what.message == "at " + std::to_string(i));
    BOOST_TEST(e->count == 1U);
  }
  const auto tenth = t.say("at 10");
  BOOST_TEST(tenth->what.message == "(combined from similar events): at 10");
  BOOST_TEST(tenth->count == 1U);
  const auto next = t.say("at 11");
  BOOST_TEST(next->what.message == "(combined from similar events): at 11");
  BOOST_TEST(next->name == tenth->name);
  BOOST_TEST(next->count == 2U);
  BOOST_TEST(t.say("at 12", "Ready")->what.message == "at 12", "another reason is another group");
}

BOOST_AUTO_TEST_CASE(after_ten_quiet_minutes_they_are_told_apart_again) {
  teller t;
  for (int i = 1; i <= 10; ++i) (void)t.say("at " + std::to_string(i));
  t.step = 600s;
  BOOST_TEST(t.say("at 11")->what.message == "(combined from similar events): at 11", "exactly ten minutes is within");
  t.step = 601s;
  BOOST_TEST(t.say("at 12")->what.message == "at 12");
}

BOOST_AUTO_TEST_CASE(an_object_has_a_burst_of_25_then_one_in_five_minutes) {
  teller t;
  t.step = 0s;
  for (int i = 0; i < 25; ++i) BOOST_TEST(t.say("x").has_value(), i);
  BOOST_TEST(!t.say("x"));
  BOOST_TEST(t.say("x", "Error", "b").has_value(), "another object has its own");
  t.step = 299s;
  BOOST_TEST(!t.say("x"));
  t.step = 1s;
  const auto back = t.say("x");
  BOOST_REQUIRE(back);
  BOOST_TEST(back->count == 28U, "those that were not written are counted");
  BOOST_TEST(!t.say("x"));
  t.step = 100 * 300s;
  int passed = t.say("x") ? 1 : 0;
  t.step = 0s;
  while (t.say("x")) ++passed;
  BOOST_TEST(passed == 25, "no more than the burst is saved");
}

BOOST_AUTO_TEST_CASE(a_clock_that_goes_back_gives_nothing) {
  teller t;
  t.step = 0s;
  for (int i = 0; i < 25; ++i) (void)t.say("x");
  t.step = -3600s;
  BOOST_TEST(!t.say("x"));
  t.step = 3600s;
  BOOST_TEST(!t.say("x"));
}

BOOST_AUTO_TEST_CASE(memory_is_bounded) {
  teller t({.max_remembered = 3});
  const auto name = t.say("x")->name;
  for (const auto* other : {"b", "c"}) (void)t.say("x", "Error", other);
  BOOST_TEST(t.say("x")->name == name, "the most recently used stay");
  for (const auto* other : {"d", "e", "f"}) (void)t.say("x", "Error", other);
  const auto anew = t.say("x");
  BOOST_TEST(anew->count == 1U);
  BOOST_TEST(anew->name != name);
}
