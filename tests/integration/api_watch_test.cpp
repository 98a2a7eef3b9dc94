// links: veranda_adapter_api veranda_adapter_store Boost::system OpenSSL::SSL OpenSSL::Crypto nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE api_watch
#include "tests/support/served_api.hpp"

using namespace veranda;
using namespace veranda::test;

BOOST_FIXTURE_TEST_CASE(a_watch_begins_with_what_is_and_follows, running) {
  cache.put("default", "r", "p", 1);
  auto c = connect();
  c.send("GET", revisions + "?watch=true");
  BOOST_TEST(c.open_stream() == 200U);
  auto event = json::parse(c.line());
  BOOST_TEST(event["type"] == "ADDED");
  BOOST_TEST(event["object"]["metadata"]["name"] == "r.p.v1");
  cache.put("default", "r", "p", 2);
  server->notify_changed();
  event = json::parse(c.line());
  BOOST_TEST(event["type"] == "ADDED");
  BOOST_TEST(event["object"]["metadata"]["resourceVersion"] == "2");
  cache.put("default", "r", "p", 2, false);
  cache.remove({"default", "r.p.v1"});
  server->notify_changed();
  BOOST_TEST(json::parse(c.line())["type"] == "MODIFIED");
  event = json::parse(c.line());
  BOOST_TEST(event["type"] == "DELETED");
  BOOST_TEST(event["object"]["metadata"]["resourceVersion"] == "4");
}

BOOST_FIXTURE_TEST_CASE(a_watch_resumes_behind_its_position, running) {
  for (int i = 1; i <= 3; ++i)
    cache.put("default", "r", "p", i);
  auto c = connect();
  c.send("GET", revisions + "?watch=true&resourceVersion=2&timeoutSeconds=1&allowWatchBookmarks=true");
  BOOST_TEST(c.open_stream() == 200U);
  BOOST_TEST(json::parse(c.line())["object"]["metadata"]["name"] == "r.p.v3");
  const auto bookmark = json::parse(c.line());
  BOOST_TEST(bookmark["type"] == "BOOKMARK");
  BOOST_TEST(bookmark["object"]["metadata"]["resourceVersion"] == "3");
  BOOST_TEST(c.line().empty()); // timeoutSeconds: ended cleanly
}

BOOST_FIXTURE_TEST_CASE(a_forgotten_or_future_position_is_told_as_an_event, running) {
  for (int i = 1; i <= 3; ++i)
    cache.put("default", "r", "p", i);
  cache.forget_all();
  for (const auto* position : {"1", "77"}) {
    auto c = connect();
    c.send("GET", revisions + "?watch=true&resourceVersion=" + position);
    BOOST_TEST(c.open_stream() == 200U);
    const auto event = json::parse(c.line());
    BOOST_TEST(event["type"] == "ERROR");
    BOOST_TEST(event["object"]["code"] == 410);
    BOOST_TEST(c.line().empty());
  }
}

BOOST_FIXTURE_TEST_CASE(selectors_turn_changes_into_entries_and_departures, running) {
  cache.put("default", "r", "p", 1, false, lifecycle::draft);
  cache.put("default", "r", "q", 1, false, lifecycle::published);
  auto c = connect();
  c.send("GET", revisions + "?watch=true&resourceVersion=2&fieldSelector=spec.lifecycle%3DPublished");
  BOOST_TEST(c.open_stream() == 200U);
  cache.put("default", "r", "p", 1, false, lifecycle::proposed); // never seen
  cache.put("default", "r", "p", 1, false, lifecycle::published);
  cache.put("default", "r", "q", 1, false, lifecycle::deletion_proposed);
  cache.put("default", "r", "p", 1, true, lifecycle::published);
  server->notify_changed();
  const std::pair<const char*, const char*> expected[] = {{"ADDED", "r.p.v1"}, {"DELETED", "r.q.v1"}, {"MODIFIED", "r.p.v1"}};
  for (const auto& [type, name] : expected) {
    const auto event = json::parse(c.line());
    BOOST_TEST(event["type"] == type);
    BOOST_TEST(event["object"]["metadata"]["name"] == name);
  }
}

BOOST_FIXTURE_TEST_CASE(initial_events_end_with_a_marked_bookmark, running) {
  cache.put("default", "r", "p", 1);
  auto c = connect();
  c.send("GET", revisions + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
  BOOST_TEST(c.open_stream() == 200U);
  BOOST_TEST(json::parse(c.line())["type"] == "ADDED");
  BOOST_TEST(json::parse(c.line())["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true");
  BOOST_TEST(connect().ask("GET", revisions + "?watch=true&sendInitialEvents=true").result_int() == 422U);
}

BOOST_FIXTURE_TEST_CASE(many_watches_see_every_change_in_order, running) {
  constexpr int watches = 20;
  constexpr int changes = 200;
  std::vector<std::unique_ptr<http_probe>> clients;
  for (int i = 0; i < watches; ++i) {
    clients.push_back(std::make_unique<http_probe>(server->port()));
    clients.back()->send("GET", revisions + "?watch=true&resourceVersion=0");
    BOOST_TEST(clients.back()->open_stream() == 200U);
  }
  std::thread writing{[&] {
    for (int i = 1; i <= changes; ++i) {
      cache.put("default", "r", "p", i);
      server->notify_changed();
    }
  }};
  for (auto& c : clients)
    for (int i = 1; i <= changes; ++i)
      BOOST_REQUIRE(json::parse(c->line())["object"]["metadata"]["resourceVersion"].get<std::string>() == std::to_string(i) || i == 1);
  writing.join();
}

BOOST_FIXTURE_TEST_CASE(repositories_are_watched_through_their_store, running) {
  auto c = connect();
  c.send("GET", repositories + "?watch=true", {}, {{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}});
  BOOST_TEST(c.open_stream() == 200U);
  BOOST_TEST(connect().ask("POST", repositories, repository("r")).result_int() == 201U);
  server->notify_changed();
  const auto event = json::parse(c.line());
  BOOST_TEST(event["type"] == "ADDED");
  BOOST_TEST(event["object"]["kind"] == "Table");
  BOOST_TEST(event["object"]["rows"][0]["cells"][0] == "r");
}
