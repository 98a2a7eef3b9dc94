// links: veranda_logic
#define BOOST_TEST_MODULE elector_leader
#include "tests/support/driven_elector.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(leader)

BOOST_AUTO_TEST_CASE(renews_by_the_version_it_wrote_last) {
  auto d = driven::leading();
  const auto since = *std::get_if<lease_wait>(&d.e.next());
  BOOST_TEST(since.delay.count() == 2000);
  d.due();
  BOOST_TEST(d.next() == "replace 101: me 15s #0");
  BOOST_TEST((d.asked().acquired == noon && d.asked().renewed == noon + 2s));
  d.pass(300ms);
  d.written();
  BOOST_TEST(d.next() == "wait 1700"); // renewals begin every two seconds
  BOOST_TEST((d.e.leading_until() == d.now - 300ms + 10s));
}

BOOST_AUTO_TEST_CASE(changes_the_record_though_the_wall_clock_stands_still) {
  auto d = driven::leading();
  for (const auto passed : {1us, 2us, 3us}) {
    d.now += 2s;
    d.e.on_due(d.at());
    BOOST_TEST((d.asked().renewed == noon + passed)); // never a record that was there before
    d.written();
  }
  d.wall = noon - 1h; // it was set
  d.now += 2s;
  d.e.on_due(d.at());
  BOOST_TEST((d.asked().renewed == noon - 1h));
}

BOOST_AUTO_TEST_CASE(stops_at_the_deadline) {
  auto d = driven::leading();
  for (const int n : {2, 4, 6, 8}) {
    d.due();
    BOOST_TEST(d.next() == (n == 2 ? "replace 101: me 15s #0" : "read"));
    if (n == 2) d.write_fails(ec::unreachable);
    else d.read_fails();
    BOOST_TEST(d.role() == "leader");
  }
  BOOST_TEST(d.next() == "wait 2000");
  d.pass(2s - 1ms);
  BOOST_TEST(!d.e.on_tick(d.at()));
  d.pass(1ms);
  d.e.on_due(d.at());
  BOOST_TEST(d.role() == "lost");
  BOOST_TEST(d.next() == "done");
  BOOST_TEST(d.e.problem()->what == "it could not be renewed for 10s: the server is away");
}

BOOST_AUTO_TEST_CASE(stops_while_a_request_hangs) {
  auto d = driven::leading();
  d.due();
  BOOST_TEST((std::get<lease_replace>(d.e.next()).timeout == 5s));
  d.pass(5s);
  d.write_fails(ec::timed_out);
  BOOST_TEST(d.next() == "wait 500");
  d.due();
  BOOST_TEST((std::get<lease_read>(d.e.next()).timeout == 2500ms)); // no longer than it may lead
  d.pass(2499ms);
  BOOST_TEST(!d.e.on_tick(d.at()));
  d.pass(1ms);
  BOOST_TEST(d.e.on_tick(d.at()));
  BOOST_TEST(d.role() == "lost");
  d.read(lease_of("me"));
  BOOST_TEST(d.role() == "lost");
}

BOOST_AUTO_TEST_CASE(is_lost_after_it_slept_whatever_the_answer) {
  for (const bool waiting : {true, false}) {
    auto d = driven::leading();
    if (!waiting) d.due();
    d.pass(60s);
    if (waiting) d.e.on_due(d.at());
    else d.written();
    BOOST_TEST(d.role() == "lost");
  }
}

BOOST_AUTO_TEST_CASE(looks_who_wrote_when_it_is_refused) {
  struct {
    std::optional<lease_object> found;
    std::string role, then;
  } const cases[] = {
    {lease_of("me", 15, 0, "9"), "leader", "replace 9: me 15s #0"},
    {lease_of("other", 15, 1, "9"), "lost", "done"},
    {lease_of("", 1, 0, "9"), "leader", "replace 9: me 15s #0"},
    {std::nullopt, "leader", "create me 15s #0"},
  };
  for (const auto& c : cases)
    for (const auto refusal : {ec::conflict, ec::not_found}) {
      auto d = driven::leading();
      d.due();
      d.write_fails(refusal);
      BOOST_TEST(d.next() == "read");
      d.read(c.found);
      BOOST_TEST(d.role() == c.role);
      BOOST_TEST(d.next() == c.then);
    }
}

BOOST_AUTO_TEST_CASE(does_not_hammer_when_it_is_refused_again) {
  auto d = driven::leading();
  d.due();
  d.write_fails(ec::conflict);
  d.read(lease_of("me", 15, 0, "9"));
  d.write_fails(ec::conflict);
  BOOST_TEST(d.next() == "wait 2000");
}

BOOST_AUTO_TEST_CASE(reads_after_a_write_whose_answer_was_lost) {
  auto d = driven::leading();
  d.due();
  d.write_fails(ec::unavailable);
  BOOST_TEST(d.next() == "wait 2000");
  d.due();
  BOOST_TEST(d.next() == "read");
  d.read(lease_of("me", 15, 0, "102"));
  BOOST_TEST(d.next() == "replace 102: me 15s #0");
  d.written();
  BOOST_TEST((d.e.leading_until() == d.now + 10s));
  d.due();
  BOOST_TEST(d.next() == "replace 102: me 15s #0"); // by what it wrote, without reading
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(stopping)

BOOST_AUTO_TEST_CASE(gives_the_lease_back) {
  auto d = driven::leading();
  d.pass(1s);
  d.e.stop(d.at());
  BOOST_TEST(d.next() == "replace 101: - 1s #0");
  BOOST_TEST((d.asked().renewed == d.wall && d.asked().acquired == d.wall));
  d.written();
  BOOST_TEST(d.next() == "done");
  BOOST_TEST(d.role() == "stopped");
}

BOOST_AUTO_TEST_CASE(leaves_alone_what_is_not_its_own) {
  driven waiting;
  waiting.read(lease_of("other"));
  waiting.e.stop(waiting.at());
  BOOST_TEST(waiting.role() == "stopped");
  driven reading;
  reading.e.stop(reading.at());
  BOOST_TEST(reading.role() == "stopped");
}

BOOST_AUTO_TEST_CASE(waits_for_the_write_under_way) {
  for (const bool first : {true, false}) {
    auto d = first ? driven{} : driven::leading();
    if (first) d.read(lease_of(""));
    else d.due();
    d.e.stop(d.at());
    BOOST_TEST(d.next().starts_with("replace"));
    d.pass(60s); // nothing is led any more, so nothing is lost
    d.written();
    BOOST_TEST(d.next().starts_with("replace"));
    BOOST_TEST(d.asked().holder.empty());
    d.written();
    BOOST_TEST(d.role() == "stopped");
  }
}

BOOST_AUTO_TEST_CASE(looks_whether_a_write_was_made) {
  auto d = driven::leading();
  d.due();
  d.e.stop(d.at());
  d.write_fails(ec::timed_out);
  BOOST_TEST(d.next() == "wait 500");
  d.due();
  d.read(lease_of("me", 15, 0, "102"));
  BOOST_TEST(d.next() == "replace 102: - 1s #0");
  d.write_fails(ec::conflict);
  d.read(lease_of("other", 15, 1, "103"));
  BOOST_TEST(d.role() == "stopped");
}

BOOST_AUTO_TEST_CASE(gives_up_when_nobody_answers) {
  auto d = driven::leading();
  d.e.stop(d.at());
  d.write_fails(ec::unreachable);
  int reads = 0;
  for (; d.next() != "done" && reads < 10; ++reads) {
    d.due();
    BOOST_TEST(d.next() == "read");
    d.read_fails();
  }
  BOOST_TEST(d.role() == "stopped");
  BOOST_TEST(reads == 2);
}

BOOST_AUTO_TEST_CASE(has_nothing_to_give_back_when_it_lost) {
  auto d = driven::leading();
  d.pass(11s);
  d.e.on_due(d.at());
  d.e.stop(d.at());
  BOOST_TEST(d.role() == "lost");
}

BOOST_AUTO_TEST_SUITE_END()
