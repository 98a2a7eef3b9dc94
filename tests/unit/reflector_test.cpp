// links: veranda_logic
#define BOOST_TEST_MODULE reflector
#include "actors/logic/reflector.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

using kind = reflector_event::kind;

api_object object(const std::string& name, const std::string& version, const std::string& uid = {}) {
  return {{"blue", name}, uid.empty() ? "u-" + name : uid, version, 1, "{" + name + version + "}", {}};
}
api_event event(api_event_type type, api_object o) { return {type, std::move(o), {}}; }
api_event mark(const std::string& version) { return {api_event_type::bookmark, {{}, {}, version, 0, {}, {}}, {}}; }
api_event error(ec code) { return {api_event_type::error, {}, failure{code, "x", {}, {}, {}}}; }
failure because(ec code) { return {code, "x", {}, {}, {}}; }

/// What was told, as one word per event.
std::string told(reflector& r) {
  constexpr const char* names[] = {"+", "~", "-", "@", "="};
  std::string out;
  for (const auto& e : r.take_events()) {
    if (!out.empty()) out += ' ';
    out += names[static_cast<std::size_t>(e.type)] + e.object.key.name + (e.object.key.name.empty() ? e.object.resource_version : "");
  }
  return out;
}

std::string shown(const reflector::wanted& w) {
  if (const auto* l = std::get_if<list_wanted>(&w)) return "list '" + l->resource_version + "' " + std::to_string(l->limit) + (l->continue_token.empty() ? "" : " " + l->continue_token);
  if (const auto* s = std::get_if<watch_wanted>(&w)) return "watch '" + s->resource_version + "'";
  return "wait " + std::to_string(std::get<wait_wanted>(w).delay.count());
}

/// A reflector on a clock of the test's own.
struct driven {
  reflector r{reflector_policy{}};
  reflector::time now{};
  std::string next() const { return shown(r.next()); }
  void page(std::vector<api_object> items, const std::string& version = "10", const std::string& token = {}) { r.on_page({version, token, std::move(items)}, now, 0); }
  void send(api_event e) { r.on_event(std::move(e), now, 0); }
  /// Listed, and watching at version 10.
  static driven following(std::vector<api_object> items = {object("a", "1"), object("b", "2")}) {
    driven d;
    d.page(std::move(items));
    static_cast<void>(d.r.take_events());
    d.r.on_watch_begun(d.now);
    return d;
  }
};

} // namespace

BOOST_AUTO_TEST_CASE(a_list_in_pages_then_a_watch_from_its_position) {
  driven d;
  BOOST_TEST(d.next() == "list '0' 500");
  d.page({object("a", "1")}, "10", "t1");
  BOOST_TEST(d.next() == "list '0' 500 t1");
  BOOST_TEST(told(d.r).empty()); // all at once, or nothing
  BOOST_TEST(!d.r.synced());
  d.page({object("b", "2")}, "10");
  BOOST_TEST(told(d.r) == "+a +b =10");
  BOOST_TEST(d.r.synced());
  BOOST_TEST(d.next() == "watch '10'");
  d.send(event(api_event_type::added, object("c", "11")));
  d.send(event(api_event_type::modified, object("a", "12")));
  d.send(mark("20"));
  d.send(event(api_event_type::deleted, object("b", "21")));
  BOOST_TEST(told(d.r) == "+c ~a @20 -b");
  BOOST_TEST(d.r.position() == "21");
}

BOOST_AUTO_TEST_CASE(events_that_surprise) {
  struct row {
    std::string what;
    std::vector<api_event> events;
    std::string expected;
  };
  using enum api_event_type;
  const row rows[] = {
    {"added, but known", {event(added, object("a", "11"))}, "~a"},
    {"modified, but unknown", {event(modified, object("c", "11"))}, "+c"},
    {"deleted, but unknown", {event(deleted, object("c", "11"))}, ""},
    {"the same version again", {event(modified, object("a", "1")), event(added, object("b", "2"))}, ""},
    {"another uid", {event(modified, object("a", "11", "other"))}, "-a +a"},
    {"deleted and made anew", {event(deleted, object("a", "11")), event(added, object("a", "12", "other"))}, "-a +a"},
    {"the new one before the deletion of the old", {event(added, object("a", "12", "other")), event(deleted, object("a", "11"))}, "-a +a"},
    {"a change that comes after the deletion", {event(deleted, object("a", "12")), event(modified, object("a", "11"))}, "-a"},
    {"one that only left the selection, and came back", {event(deleted, object("a", "12")), event(added, object("a", "14")), event(modified, object("a", "15"))}, "-a +a ~a"},
    {"the same, told twice", {event(deleted, object("a", "12")), event(added, object("a", "14")), event(deleted, object("a", "12")), event(deleted, object("a", "16"))}, "-a +a -a"},
    {"a deletion that comes twice", {event(deleted, object("a", "12")), event(deleted, object("a", "12"))}, "-a"},
    {"an older version", {event(modified, object("a", "100")), event(modified, object("a", "99"))}, "~a"},
    {"versions that are no numbers", {event(modified, object("a", "x2")), event(modified, object("a", "x1"))}, "~a ~a"},
    {"a bookmark where we are", {mark("10")}, ""},
    {"a bookmark without a version", {mark("")}, ""},
    {"an object without a name", {event(added, object("", "11"))}, ""},
    {"an object nobody can read", {event(modified, {{"blue", "a"}, "u-a", "11", 1, "", because(ec::too_large)})}, "~a"},
  };
  for (const auto& r : rows) {
    auto d = driven::following();
    for (const auto& e : r.events) d.send(e);
    BOOST_TEST(told(d.r) == r.expected, r.what);
    BOOST_TEST(d.next() == "watch '10'", r.what);
  }
}

BOOST_AUTO_TEST_CASE(a_watch_that_ends_goes_on_from_the_position) {
  auto d = driven::following();
  d.send(event(api_event_type::modified, object("a", "11")));
  d.now += 5s;
  d.r.on_watch_ended(watch_end::closed, d.now, 0);
  BOOST_TEST(d.next() == "watch '11'");
  BOOST_TEST(d.r.lists() == 1U);
}

BOOST_AUTO_TEST_CASE(what_follows_the_end_of_a_watch) {
  struct row {
    std::string what;
    std::function<void(driven&)> end;
    std::string next, after;
    watch_loss lost;
  };
  const row rows[] = {
    {"410 as an answer", [](driven& d) { d.r.on_watch_failed(because(ec::stale), d.now, 0); }, "wait 1000", "list '10' 0", watch_loss::expired},
    {"410 as an event", [](driven& d) { d.send(error(ec::stale)); }, "wait 1000", "list '10' 0", watch_loss::expired},
    {"another error event", [](driven& d) { d.send(error(ec::unavailable)); }, "wait 1000", "list '10' 0", watch_loss::error},
    {"too many requests, as an event", [](driven& d) { d.send(error(ec::throttled)); }, "wait 1000", "watch '10'", watch_loss::error},
    {"too many requests", [](driven& d) { d.r.on_watch_failed({ec::throttled, "x", {}, {}, 7s}, d.now, 0); }, "wait 7000", "watch '10'", watch_loss::error},
    {"far too many", [](driven& d) { d.r.on_watch_failed({ec::throttled, "x", {}, {}, 24h}, d.now, 0); }, "wait 120000", "watch '10'", watch_loss::error},
    {"refused", [](driven& d) { d.r.on_watch_failed(because(ec::unreachable), d.now, 0); }, "wait 1000", "list '10' 0", watch_loss::error},
    {"forbidden", [](driven& d) { d.r.on_watch_failed(because(ec::auth_rejected), d.now, 0); }, "wait 1000", "list '10' 0", watch_loss::error},
    {"ended at once", [](driven& d) { d.r.on_watch_ended(watch_end::closed, d.now + 999ms, 0); }, "wait 1000", "watch '10'", watch_loss::ended},
    {"silent, from a server without bookmarks", [](driven& d) { d.r.on_watch_ended(watch_end::idle, d.now + 3min, 0); }, "watch '10'", "", watch_loss::cut},
    {"silent, from a server with bookmarks",
     [](driven& d) {
       d.send(mark("10"));
       d.r.on_watch_ended(watch_end::idle, d.now + 3min, 0);
     },
     "wait 1000", "list '10' 0", watch_loss::cut},
    {"cut", [](driven& d) { d.r.on_watch_ended(watch_end::cut, d.now + 5s, 0); }, "watch '10'", "", watch_loss::cut},
    {"closed in order", [](driven& d) { d.r.on_watch_ended(watch_end::closed, d.now + 5s, 0); }, "watch '10'", "", watch_loss::ended},
  };
  for (const auto& r : rows) {
    auto d = driven::following();
    r.end(d);
    BOOST_TEST(d.next() == r.next, r.what);
    for (const auto how : {watch_loss::ended, watch_loss::cut, watch_loss::expired, watch_loss::error}) BOOST_TEST(d.r.lost(how) == (how == r.lost ? 1U : 0U), r.what << ": " << to_string(how));
    d.r.on_due(0);
    if (!r.after.empty()) BOOST_TEST(d.next() == r.after, r.what);
  }
}

BOOST_AUTO_TEST_CASE(a_list_after_a_lost_watch_tells_the_difference_only) {
  auto d = driven::following({object("a", "1"), object("b", "2"), object("c", "3")});
  d.send(error(ec::stale));
  d.r.on_due(0);
  d.page({object("a", "1"), object("b", "20"), object("d", "21"), object("c", "22", "other")}, "30");
  BOOST_TEST(told(d.r) == "-c ~b +d +c =30");
  d.send(error(ec::stale));
  d.r.on_due(0);
  d.page({object("b", "20")}, "31");
  BOOST_TEST(told(d.r) == "-a -c -d =31");
  BOOST_TEST(d.next() == "watch '31'");
}

BOOST_AUTO_TEST_CASE(a_server_restored_from_a_backup) {
  auto d = driven::following();
  d.send(event(api_event_type::deleted, object("b", "11")));
  d.send(event(api_event_type::modified, object("a", "50")));
  told(d.r);
  d.r.on_watch_failed(because(ec::unreachable), d.now, 0);
  d.r.on_due(0);
  BOOST_TEST(d.next() == "list '50' 0");
  d.r.on_list_failed(because(ec::stale), d.now, 0); // "resource version too large"
  BOOST_TEST(d.next() == "list '' 500");
  d.page({object("a", "50"), object("b", "2")}, "52"); // b is back, and this version of a is of another history
  BOOST_TEST(told(d.r) == "~a +b =52");
  d.send(event(api_event_type::modified, object("b", "53")));
  BOOST_TEST(told(d.r) == "~b");
  d.send(error(ec::stale));
  d.r.on_due(0);
  BOOST_TEST(d.next() == "list '53' 0"); // the new position is good
}

BOOST_AUTO_TEST_CASE(pages_that_expire_on_the_way) {
  driven d;
  d.page({object("a", "1")}, "10", "t1");
  d.r.on_list_failed(because(ec::stale), d.now, 0);
  BOOST_TEST(d.next() == "list '0' 0");
  d.page({object("b", "2")}, "11");
  BOOST_TEST(told(d.r) == "+b =11");
  // Also when the first list had no position to begin with.
  driven e;
  e.r.on_list_failed(because(ec::stale), e.now, 0);
  BOOST_TEST(e.next() == "list '' 500");
  e.page({}, "10", "t1");
  e.r.on_list_failed(because(ec::stale), e.now, 0);
  BOOST_TEST(e.next() == "list '' 0");
  e.r.on_list_failed(because(ec::stale), e.now, 0);
  BOOST_TEST(e.next() == "wait 1000");
}

BOOST_AUTO_TEST_CASE(lists_that_are_too_large_come_in_smaller_pieces) {
  driven d;
  d.r.on_list_failed(because(ec::too_large), d.now, 0);
  BOOST_TEST(d.next() == "list '' 500"); // from the database: there a limit is a limit
  d.r.on_list_failed(because(ec::too_large), d.now, 0);
  BOOST_TEST(d.next() == "list '' 250");
  d.page({}, "10", "t");
  BOOST_TEST(d.next() == "list '' 250 t");
  d.r.on_list_failed(because(ec::stale), d.now, 0);
  BOOST_TEST(d.next() == "wait 1000"); // not in one piece
  for (int i = 0; i < 8; ++i) {
    d.r.on_due(0);
    d.r.on_list_failed(because(ec::too_large), d.now, 0);
  }
  BOOST_TEST(d.next().starts_with("wait"));
  d.r.on_due(0);
  BOOST_TEST(d.next() == "list '' 1");

  driven many;
  many.r = reflector{{.max_objects = 2}};
  many.page({object("a", "1"), object("b", "2"), object("c", "3")}, "10", "t");
  BOOST_TEST((many.r.problem()->code == ec::too_large));
  BOOST_TEST(told(many.r).empty());
}

BOOST_AUTO_TEST_CASE(waits_grow_and_are_forgiven) {
  driven d;
  std::vector<std::string> waits;
  for (int i = 0; i < 7; ++i) {
    d.r.on_list_failed(because(ec::not_found), d.now, 1.0);
    waits.push_back(d.next());
    d.now += std::get<wait_wanted>(d.r.next()).delay;
    d.r.on_due(0);
    BOOST_TEST(d.next() == "list '0' 500");
  }
  BOOST_TEST((waits == std::vector<std::string>{"wait 2000", "wait 4000", "wait 8000", "wait 16000", "wait 30000", "wait 30000", "wait 30000"}));
  BOOST_TEST((d.r.problem()->code == ec::not_found));
  d.page({});
  BOOST_TEST(d.r.problem().has_value()); // a list alone is no health: the watch may still be forbidden
  d.r.on_watch_begun(d.now);
  BOOST_TEST(!d.r.problem());
  d.now += 10s;
  d.send(error(ec::stale));
  BOOST_TEST((std::get<wait_wanted>(d.r.next()).delay == 1s)); // the draw was 0
  d.r.on_due(0);
  d.page({});
  d.now += 10s;
  d.r.on_watch_failed(because(ec::stale), d.now, 1.0);
  BOOST_TEST(d.next() == "wait 30000"); // a list alone is no health
  d.r.on_due(0);
  d.page({});
  d.now += 30s + 2min;
  d.r.on_watch_failed(because(ec::stale), d.now, 1.0);
  BOOST_TEST(d.next() == "wait 2000");
}

BOOST_AUTO_TEST_CASE(a_server_without_positions_is_listed_after_each_watch) {
  driven d;
  d.page({object("a", "")}, "");
  BOOST_TEST(told(d.r) == "+a =");
  BOOST_TEST(d.next() == "watch ''");
  d.send(event(api_event_type::added, object("a", "5"))); // it tells everything again
  d.send(event(api_event_type::added, object("b", "6")));
  BOOST_TEST(told(d.r) == "~a +b");
  d.now += 10min;
  d.r.on_watch_ended(watch_end::closed, d.now, 0);
  BOOST_TEST(d.next() == "wait 1000");
  d.r.on_due(0);
  BOOST_TEST(d.next() == "list '0' 500");
  d.page({object("b", "6")}, "");
  BOOST_TEST(told(d.r) == "-a =");
}

BOOST_AUTO_TEST_CASE(one_object_on_two_pages_is_one) {
  driven d;
  d.page({object("a", "1"), object("b", "2"), object("", "3")}, "10", "t");
  d.page({object("a", "4"), {{"blue", "c"}, "", "", 0, "", because(ec::invalid_spec)}}, "10");
  const auto events = d.r.take_events();
  BOOST_REQUIRE_EQUAL(events.size(), 4U);
  BOOST_TEST((events[0].object == object("b", "2")));
  BOOST_TEST((events[1].object == object("a", "4")));
  BOOST_TEST(events[2].object.key.name == "c");
  BOOST_TEST(d.r.nameless() == 1U);
  BOOST_TEST(d.r.size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_list_now_and_then_when_the_policy_asks_for_it) {
  driven d;
  d.r = reflector{{.relist_interval = 10min}};
  d.page({object("a", "1")});
  BOOST_TEST(!d.r.on_tick(d.now + 10min - 1ms));
  BOOST_TEST(d.r.on_tick(d.now + 10min));
  BOOST_TEST(d.next() == "list '10' 0");
  auto never = driven::following();
  BOOST_TEST(!never.r.on_tick(never.now + 1000h));
}

BOOST_AUTO_TEST_CASE(whoever_starts_anew_is_told_everything) {
  auto d = driven::following();
  d.send(event(api_event_type::modified, object("a", "11")));
  d.r.restart();
  BOOST_TEST(!d.r.synced());
  BOOST_TEST(d.next() == "list '11' 0"); // but nothing older than what was told
  d.page({object("b", "2")}, "12");
  BOOST_TEST(told(d.r) == "+b =12");
}

BOOST_AUTO_TEST_CASE(reports_out_of_turn_are_ignored) {
  driven d;
  d.send(event(api_event_type::added, object("a", "1")));
  d.r.on_watch_ended(watch_end::closed, d.now, 0);
  d.r.on_watch_failed(because(ec::stale), d.now, 0);
  d.r.on_due(0);
  BOOST_TEST(d.next() == "list '0' 500");
  d.page({});
  BOOST_TEST(told(d.r) == "=10");
  d.page({object("a", "1")});
  d.r.on_list_failed(because(ec::stale), d.now, 0);
  d.r.on_due(0);
  BOOST_TEST(d.next() == "watch '10'");
  BOOST_TEST(told(d.r).empty());
}

BOOST_AUTO_TEST_CASE(lifetimes_are_spread) {
  driven d;
  d.r.on_page({"10", {}, {}}, d.now, 0.5);
  BOOST_TEST((std::get<watch_wanted>(d.r.next()).lifetime == 450s));
}
