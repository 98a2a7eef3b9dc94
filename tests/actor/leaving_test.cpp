// links: veranda_house
#define BOOST_TEST_MODULE leaving
#include "tests/actor/held_house.hpp"

using namespace veranda;
using namespace veranda::test;

// Objects that leave what is followed without being deleted: their labels do not fit the selector any more.

BOOST_FIXTURE_TEST_SUITE(leaving, held_house)

BOOST_AUTO_TEST_CASE(one_that_left_what_is_followed_is_let_go_of) {
  apply(an_object("a"));
  leave("a");
  advance(1min);
  BOOST_TEST(there("a"));
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(cache.rows.empty());
  deaf = false;
  list_all(); // and it comes back
  advance(1min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(one_that_left_while_nobody_looked_is_let_go_of) {
  apply(an_object("a"));
  power_cut();
  deaf = true;
  tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>()});
  advance(1min);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().releases.empty());
}

/// A right that is missing may be granted later; until then nobody waits for us.
BOOST_AUTO_TEST_CASE(letting_go_without_the_right_is_tried_slowly_until_it_is_there) {
  apply(an_object("a"));
  api->fail = failure{ec::auth_rejected, "cannot patch", {}, {}, {}};
  leave("a");
  BOOST_TEST(cache.rows.empty());
  advance(1h);
  BOOST_TEST(api->refused > 10U);
  BOOST_TEST(held_up == ""); // nobody waits
  BOOST_TEST(api->refused < 25U);
  api->fail.reset();
  advance(5min);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(once_it_is_being_deleted_somebody_waits) {
  apply(an_object("a"));
  api->fail = failure{ec::auth_rejected, "cannot patch", {}, {}, {}};
  leave("a");
  advance(1h);
  api->fail.reset();
  deaf = false;
  remove_object("a"); // and it is seen, as its labels fit again
  BOOST_TEST(!there("a"));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(a_right_that_is_missing_while_somebody_waits_is_looked_for_twice_a_minute) {
  apply(an_object("a"));
  api->fail = failure{ec::auth_rejected, "cannot patch", {}, {}, {}};
  remove_object("a");
  advance(1h);
  BOOST_TEST(api->refused < 130U);
  BOOST_TEST(says("a", "Ready=False Error: it is being deleted, and waits: its finalizer cannot be taken off: cannot patch"), status("a"));
  BOOST_TEST(held_up == "team/a waits: its finalizer cannot be taken off: cannot patch");
  api->fail.reset();
  advance(30s);
  BOOST_TEST(!there("a"));
  BOOST_TEST(held_up == "");
}

/// What the supervisor has seen of it says nothing of a finalizer that is on its way.
BOOST_AUTO_TEST_CASE(one_that_leaves_while_it_is_being_set_is_let_go_of) {
  api->stalled = true;
  apply(an_object("a"));
  leave("a");
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(seen().releases.size() == 1U);
  api->flow();
  settle();
  BOOST_TEST((api->done == names{"hold team/a", "release team/a"}));
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(one_that_leaves_after_it_was_set_and_before_that_was_seen) {
  deaf = true;
  apply(an_object("a"));
  BOOST_TEST(api->held(key("a")));
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(an_object("a")), true});
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(seen().releases.empty());
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(one_that_left_and_comes_back_at_once_is_held) {
  apply(an_object("a"));
  const auto there_now = std::make_shared<const repository_object>(api->objects.at(key("a")));
  caf::anon_send(boss, msg::repository_changed{there_now, true});
  caf::anon_send(boss, msg::repository_changed{there_now, false});
  settle();
  advance(10min);
  BOOST_TEST(seen().releases.empty());
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cache.rows.size() == 1U);
}

/// The answer to the release of its first absence must not end the one of its second.
BOOST_AUTO_TEST_CASE(one_that_leaves_comes_back_and_leaves_again) {
  apply(an_object("a"));
  api->stalled = true;
  leave("a");
  deaf = false;
  list_all();
  leave("a");
  advance(1s);
  api->flow();
  settle();
  advance(1min);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(seen().releases.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(cache.rows.empty());
}

/// It came back before its finalizer was taken off: that is seen, and it is set again.
BOOST_AUTO_TEST_CASE(one_that_comes_back_while_it_is_let_go_of_is_held) {
  apply(an_object("a"));
  api->stalled = true;
  leave("a");
  deaf = false;
  list_all();
  BOOST_TEST(seen().releases.empty());
  api->flow();
  settle();
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_SUITE_END()
