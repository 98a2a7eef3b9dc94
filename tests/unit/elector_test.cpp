// links: veranda_logic
#define BOOST_TEST_MODULE elector
#include "tests/support/driven_elector.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(candidate)

BOOST_AUTO_TEST_CASE(creates_the_lease_that_is_not_there) {
  driven d;
  BOOST_TEST(d.next() == "read");
  d.read(std::nullopt);
  BOOST_TEST(d.next() == "create me 15s #0");
  BOOST_TEST((d.asked().acquired == noon && d.asked().renewed == noon));
  BOOST_TEST(d.role() == "standby");
  d.written();
  BOOST_TEST(d.role() == "leader");
  BOOST_TEST(d.next() == "wait 2000");
}

BOOST_AUTO_TEST_CASE(waits_a_whole_duration_by_its_own_clock) {
  // What the holder's clock says is of no account: an hour old, or an hour ahead.
  for (const auto renewed : {noon - 1h, noon, noon + 1h}) {
    driven d;
    const auto found = lease_of("other", 15, 3, "7", renewed);
    d.read(found);
    BOOST_TEST(d.next() == "wait 2000");
    d.draw = 1;
    d.due();
    BOOST_TEST(d.next() == "read");
    d.read(found);
    BOOST_TEST(d.next() == "wait 4400");
    d.due();
    d.read(found);
    d.due();
    d.read(found);
    BOOST_TEST(d.next() == "wait 4200"); // 10.8 s are over: no later than the end
    d.due();
    d.read(found);
    BOOST_TEST(d.next() == "replace 7: me 15s #4");
    BOOST_TEST((d.asked().acquired == d.wall));
    d.written();
    BOOST_TEST(d.role() == "leader");
  }
}

BOOST_AUTO_TEST_CASE(waits_anew_with_each_version) {
  driven d;
  d.read(lease_of("other", 15, 3, "7"));
  d.pass(14s);
  d.e.on_due(d.at());
  d.read(lease_of("other", 15, 3, "8")); // the same again; between, it may have been a third's
  d.pass(14s);
  d.e.on_due(d.at());
  d.read(lease_of("other", 15, 3, "8"));
  BOOST_TEST(d.next() == "wait 1000");
}

BOOST_AUTO_TEST_CASE(takes_what_is_free_or_its_own_at_once) {
  struct {
    lease_object found;
    std::string then;
  } const cases[] = {
    {lease_of("", 1, 9), "replace 7: me 15s #10"},
    {lease_of("", 0, 0), "replace 7: me 15s #1"},
    {lease_of("me", 15, 9), "replace 7: me 15s #9"}, // a write of its own whose answer was lost
    {lease_of("", 15, -4), "replace 7: me 15s #1"},
    {lease_of("", 15, 2'147'483'647), "replace 7: me 15s #2147483647"},
  };
  for (const auto& c : cases) {
    driven d;
    d.read(c.found);
    BOOST_TEST(d.next() == c.then);
  }
}

BOOST_AUTO_TEST_CASE(gives_a_holder_that_names_no_duration_its_own) {
  for (const std::int64_t seconds : {0, -3}) {
    driven d;
    d.read(lease_of("other", seconds));
    for (int i = 0; i < 7; ++i) {
      BOOST_TEST(d.next() == "wait 2000");
      d.due();
      d.read(lease_of("other", seconds));
    }
    BOOST_TEST(d.next() == "wait 1000");
    d.due();
    d.read(lease_of("other", seconds));
    BOOST_TEST(d.next() == "replace 7: me 15s #4");
  }
}

BOOST_AUTO_TEST_CASE(bears_with_absurd_durations) {
  driven d;
  d.read(lease_of("other", std::numeric_limits<std::int64_t>::max()));
  BOOST_TEST(d.next() == "wait 2000");
  d.pass(24h * 365 * 9);
  d.e.on_due(d.at());
  d.read(lease_of("other", std::numeric_limits<std::int64_t>::max()));
  BOOST_TEST(d.next() == "wait 2000");
}

BOOST_AUTO_TEST_CASE(takes_a_vanished_lease_for_a_change) {
  driven d;
  d.read(lease_of("other", 20));
  d.pass(19s);
  d.e.on_due(d.at());
  d.read(std::nullopt); // somebody may have held it between
  BOOST_TEST(d.next() == "wait 2000");
  d.pass(20s - 1ms);
  d.e.on_due(d.at());
  d.read(std::nullopt);
  BOOST_TEST(d.next() == "wait 1");
  d.due();
  d.read(std::nullopt);
  BOOST_TEST(d.next() == "create me 15s #4"); // never the number of a term that was
}

BOOST_AUTO_TEST_CASE(begins_anew_with_another_lease_of_the_name) {
  driven d;
  auto found = lease_of("other");
  d.read(found);
  d.pass(14s);
  d.e.on_due(d.at());
  found.uid = "u2";
  d.read(found);
  d.pass(14s);
  d.e.on_due(d.at());
  d.read(found);
  BOOST_TEST(d.next() == "wait 1000");
}

BOOST_AUTO_TEST_CASE(loses_the_round_when_it_is_refused) {
  driven d;
  d.draw = 0.5;
  d.read(lease_of(""));
  d.write_fails(ec::conflict);
  BOOST_TEST(d.next() == "wait 3200");
  BOOST_TEST(!d.e.problem());
  d.due();
  BOOST_TEST(d.next() == "read");
  driven fresh;
  fresh.read(std::nullopt);
  fresh.write_fails(ec::conflict); // somebody else made it
  BOOST_TEST(fresh.next() == "wait 2000");
}

BOOST_AUTO_TEST_CASE(says_what_is_wrong_and_heals) {
  driven d;
  d.read_fails(ec::auth_rejected);
  BOOST_TEST((d.e.problem() && d.e.problem()->code == ec::auth_rejected));
  BOOST_TEST(!d.e.looked());
  BOOST_TEST(d.next() == "wait 2000");
  d.due();
  d.read(std::nullopt);
  BOOST_TEST(!d.e.problem());
  d.write_fails(ec::auth_rejected);
  BOOST_TEST((d.e.problem() && d.e.problem()->code == ec::auth_rejected));
  d.due();
  BOOST_TEST(d.next() == "read");
  d.read(std::nullopt);
  d.written();
  BOOST_TEST(!d.e.problem());
  BOOST_TEST(d.role() == "leader");
}

BOOST_AUTO_TEST_CASE(does_not_rely_on_an_answer_that_came_late) {
  driven d;
  d.read(std::nullopt);
  d.pass(10s);
  d.written();
  BOOST_TEST(d.role() == "standby");
  BOOST_TEST(d.next() == "read");
  d.read(lease_of("me", 15, 0, "101"));
  BOOST_TEST(d.next() == "replace 101: me 15s #0");
  d.pass(9s);
  d.written();
  BOOST_TEST(d.role() == "leader");
  BOOST_TEST((d.e.leading_until() - d.now == 1s)); // counted from before the request
}

BOOST_AUTO_TEST_CASE(does_not_lead_by_what_was_not_stored) {
  for (const auto& stored : {lease_of("other"), lease_of("me", 5), lease_of("", 15)}) {
    driven d;
    d.read(std::nullopt);
    d.e.on_written(stored, d.at());
    BOOST_TEST(d.role() == "standby");
    BOOST_TEST((d.e.problem() && d.e.problem()->code == ec::unsupported));
    BOOST_TEST(d.next() == "wait 2000");
  }
}

BOOST_AUTO_TEST_CASE(gives_each_request_half_the_deadline) {
  driven d;
  BOOST_TEST((std::get<lease_read>(d.e.next()).timeout == 5s));
  d.read(std::nullopt);
  BOOST_TEST((std::get<lease_create>(d.e.next()).timeout == 5s));
}

BOOST_AUTO_TEST_CASE(ignores_what_comes_out_of_turn) {
  driven d;
  d.e.on_written(lease_of("me"), d.at());
  d.e.on_due(d.at());
  BOOST_TEST(d.next() == "read");
  d.read(lease_of("other"));
  d.e.on_read(std::optional<lease_object>{}, d.at());
  d.e.on_written(lease_of("me"), d.at());
  BOOST_TEST(d.next() == "wait 2000");
  BOOST_TEST(!d.e.on_tick(d.at()));
}

BOOST_AUTO_TEST_SUITE_END()
