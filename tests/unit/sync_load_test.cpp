// links: veranda_common
#define BOOST_TEST_MODULE sync_load
#include "actors/common/sync_load.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(costs_are_added_up_and_forgotten_after_ten_minutes) {
  recent_costs costs;
  const recent_costs::instant start{1000h};
  BOOST_CHECK(costs.sum(start) == sync_cost{});
  costs.add(start, {1, 1, 500ms, 10});
  costs.add(start + 30s, {1, 0, 250ms, 5});
  costs.add(start + 5min, {2, 0, 1s, 0});
  BOOST_CHECK((costs.sum(start + 5min) == sync_cost{4, 1, 1750ms, 15}));
  BOOST_CHECK((costs.sum(start + 9min + 59s) == sync_cost{4, 1, 1750ms, 15}));
  BOOST_CHECK((costs.sum(start + 10min) == sync_cost{2, 0, 1s, 0}));
  BOOST_CHECK((costs.sum(start + 15min) == sync_cost{}));
}

BOOST_AUTO_TEST_CASE(a_slot_is_used_again) {
  recent_costs costs;
  const recent_costs::instant start{1000h};
  costs.add(start, {7, 0, 7s, 7});
  costs.add(start + 10min, {1, 0, 1s, 1});
  BOOST_CHECK((costs.sum(start + 10min) == sync_cost{1, 0, 1s, 1}));
}
