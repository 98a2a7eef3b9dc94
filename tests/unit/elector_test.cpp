// links: veranda_logic
#define BOOST_TEST_MODULE elector
#include "actors/logic/elector.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

const wall_time noon = *parse_rfc3339("2026-03-10T12:00:00Z");

failure because(ec code) { return {code, "the server is away", {}, {}, {}}; }

lease_object lease_of(const std::string& holder, std::int64_t seconds = 15, std::int64_t transitions = 3, const std::string& version = "7", wall_time renewed = noon) {
  return {{holder, seconds, noon, renewed, transitions}, "u1", version, "{}"};
}

std::string shown(const lease_record& r) {
  return (r.holder.empty() ? std::string{"-"} : r.holder) + " " + std::to_string(r.duration_seconds) + "s #" + std::to_string(r.transitions);
}

std::string shown(const elector::wanted& w) {
  if (const auto* create = std::get_if<lease_create>(&w)) return "create " + shown(create->record);
  if (const auto* replace = std::get_if<lease_replace>(&w)) return "replace " + replace->base.resource_version + ": " + shown(replace->record);
  if (const auto* wait = std::get_if<lease_wait>(&w)) return "wait " + std::to_string(wait->delay.count());
  return std::holds_alternative<lease_read>(w) ? "read" : "done";
}

/// An elector on clocks of the test's own.
struct driven {
  elector::time now{};
  wall_time wall = noon;
  double draw = 0;
  int version = 100;
  elector e{{.identity = "me"}, at()};

  [[nodiscard]] elector::moment at() const { return {now, wall, draw}; }
  [[nodiscard]] std::string next() const { return shown(e.next()); }
  [[nodiscard]] std::string role() const { return std::string{to_string(e.role())}; }
  void pass(std::chrono::milliseconds d) {
    now += d;
    wall += d;
  }
  void read(std::optional<lease_object> got) { e.on_read(std::move(got), at()); }
  void read_fails(ec code = ec::unreachable) { e.on_read(because(code), at()); }
  void write_fails(ec code) { e.on_written(because(code), at()); }
  [[nodiscard]] const lease_record& asked() const {
    const auto* create = std::get_if<lease_create>(&e.next());
    return create != nullptr ? create->record : std::get<lease_replace>(e.next()).record;
  }
  void written() { e.on_written(lease_object{asked(), "u1", std::to_string(++version), "{}"}, at()); }
  /// Waits as long as is asked for.
  void due() {
    pass(std::get<lease_wait>(e.next()).delay);
    e.on_due(at());
  }
  static driven leading() {
    driven d;
    d.read(std::nullopt);
    d.written();
    return d;
  }
};

} // namespace

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
