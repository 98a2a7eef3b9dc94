// links: veranda_logic
#define BOOST_TEST_MODULE desired_set
#include "actors/logic/desired_set.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;

namespace {

object_identity id(const std::string& name, const std::string& uid) { return {{"ns", name}, uid}; }

} // namespace

BOOST_AUTO_TEST_CASE(what_runs_and_is_not_wanted_is_gone) {
  struct row {
    const char* why;
    std::vector<object_identity> wanted, running, expected;
  };
  const row rows[] = {
      {"nothing", {}, {}, {}},
      {"new", {id("a", "1")}, {}, {}},
      {"known", {id("a", "1")}, {id("a", "1")}, {}},
      {"gone", {}, {id("a", "1")}, {id("a", "1")}},
      {"re-created", {id("a", "2")}, {id("a", "1")}, {id("a", "1")}},
      {"re-created while the old one still ends", {id("a", "2")}, {id("a", "1"), id("a", "2")}, {id("a", "1")}},
      {"mixed and unsorted, with repeats",
       {id("d", "4"), id("b", "2"), id("b", "2"), id("c", "9")},
       {id("c", "3"), id("b", "2"), id("a", "1"), id("a", "1")},
       {id("a", "1"), id("c", "3")}},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.why) { BOOST_TEST((gone(r.wanted, r.running) == r.expected)); }
  }
}
