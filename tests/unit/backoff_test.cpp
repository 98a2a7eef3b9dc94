// links: veranda_logic
#define BOOST_TEST_MODULE backoff
#include "actors/logic/backoff.hpp"

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace veranda::logic;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(delays) {
  const backoff_policy usual{.initial = 5s, .max = 5min};
  struct row {
    backoff_policy policy;
    std::uint32_t attempt;
    double draw;
    std::chrono::milliseconds expected;
  };
  const row rows[] = {
      {usual, 0, 0.0, 5s},
      {usual, 0, 1.0, 10s},
      {usual, 0, 0.5, 7500ms},
      {usual, 1, 1.0, 20s},
      {usual, 3, 1.0, 80s},
      {usual, 3, 0.0, 5s},
      {usual, 5, 1.0, 5min},
      {usual, std::numeric_limits<std::uint32_t>::max(), 1.0, 5min},
      {usual, 0, -1.0, 5s},
      {usual, 0, 9.0, 10s},
      {usual, 0, std::numeric_limits<double>::quiet_NaN(), 5s},
      {{.initial = 10min, .max = 5min}, 2, 0.5, 5min},
      {{.initial = 0s, .max = 5min}, 9, 1.0, 0s},
      {{.initial = 5s, .max = -1s}, 9, 1.0, 0s},
      {{.initial = 1ms, .max = std::chrono::milliseconds::max()}, 63, 0.0, 1ms},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT("attempt " << r.attempt << " draw " << r.draw) { BOOST_TEST(next_delay(r.policy, r.attempt, r.draw).count() == r.expected.count()); }
  }
}

BOOST_AUTO_TEST_CASE(stretching_never_shortens) {
  BOOST_TEST(stretched(100s, 0.0).count() == 100'000);
  BOOST_TEST(stretched(100s, 1.0).count() == 110'000);
  BOOST_TEST(stretched(100s, -3.0).count() == 100'000);
}
