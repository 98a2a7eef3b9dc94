// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_watch
#include "adapters/kube/line_splitter.hpp"
#include "tests/support/kube_peer.hpp"

using namespace veranda;
using namespace veranda::kube;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(events_in_order_whatever_the_pieces) {
  stream_server server{[](const std::string&, peer& p) {
    p.send(stream_server::stream_head());
    const auto all = line(1) + "\n" + line(2, "MODIFIED") + R"({"type":"STRANGE","object":{}})" "\n" + line(3, "DELETED") + line(4);
    for (const char c : all.substr(0, 200)) p.chunk(std::string{c});
    p.chunk(all.substr(200) + line(5).substr(0, 40)); // cut within a line
    p.close_after();
  }};
  const auto client = open(server.url());
  const auto watch = a_watch(*client);
  finish(*client, *watch);
  BOOST_TEST((watch->state() == watch_state::cut));
  BOOST_TEST((versions(*watch) == words{"1", "2", "3", "4"}));
  BOOST_TEST(server.requests()[0].find("watch=true&allowWatchBookmarks=true&resourceVersion=1&timeoutSeconds=300") != std::string::npos);
  BOOST_TEST(server.requests()[0].find("Accept-Encoding") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(events_come_as_they_happen) {
  std::atomic<int> allowed{1};
  stream_server server{[&](const std::string&, peer& p) {
    p.send(stream_server::stream_head());
    for (int sent = 0; sent < 3 && !p.stopping();)
      if (sent < allowed) p.chunk(line(++sent));
      else std::this_thread::yield();
    p.send("0\r\n\r\n");
  }};
  const auto client = open(server.url());
  const auto watch = a_watch(*client);
  for (int i = 1; i <= 3; ++i) {
    drive(*client, [&] { return watch->unread() == 1; });
    BOOST_TEST((watch->state() == watch_state::open || i == 3));
    BOOST_TEST((versions(*watch) == words{std::to_string(i)}));
    ++allowed;
  }
  finish(*client, *watch);
  BOOST_TEST((watch->state() == watch_state::closed));
}

BOOST_AUTO_TEST_CASE(watches_that_fail) {
  struct row {
    std::string bytes;
    ec code;
  };
  const std::string gone = R"({"kind":"Status","reason":"Expired","code":410})";
  const row rows[] = {
    {stream_server::reply("410 Gone", gone), ec::stale},
    {stream_server::reply("403 Forbidden", R"({"kind":"Status","reason":"Forbidden","code":403})"), ec::auth_rejected},
    {stream_server::reply("429 Too Many Requests", "later", "Retry-After: 2\r\n", "text/plain"), ec::throttled},
    {stream_server::reply("503 No", ""), ec::unavailable},
    {stream_server::reply("200 OK", "<html>", {}, "text/html"), ec::unsupported},
    {stream_server::stream_head() + "4\r\nabc\n\r\n0\r\n\r\n", ec::unavailable},
    {stream_server::stream_head() + "3\r\n{}\n\r\n0\r\n\r\n", ec::unavailable},
    {stream_server::reply("200 OK", list_body + "\n"), ec::unavailable}, // it does not know what a watch is
    {stream_server::reply("200 OK", line(1, "ADDED", std::string(70'000, 'x'))), ec::too_large},
    {stream_server::reply("200 OK", std::string(70'000, ' ')), ec::too_large},
  };
  for (const auto& r : rows) {
    stream_server server{[&r](const std::string&, peer& p) {
      p.send(r.bytes);
      p.close_after();
    }};
    client_limits limits;
    limits.max_line_bytes = 60'000;
    const auto client = open(server.url(), limits);
    const auto watch = a_watch(*client);
    finish(*client, *watch);
    const auto label = r.bytes.substr(0, 60);
    BOOST_REQUIRE_MESSAGE((watch->state() == watch_state::failed), label);
    BOOST_TEST((watch->why()->code == r.code), label);
    if (r.code == ec::throttled) BOOST_TEST((watch->why()->retry_after == std::optional<std::chrono::milliseconds>{2s}));
  }
}

BOOST_AUTO_TEST_CASE(an_error_event_comes_after_what_came_before_it) {
  stream_server server{[](const std::string&, peer& p) {
    p.send(stream_server::stream_head());
    p.chunk(line(1) + R"({"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}})" "\n");
    p.send("0\r\n\r\n");
  }};
  const auto client = open(server.url());
  const auto watch = a_watch(*client);
  finish(*client, *watch);
  BOOST_TEST((watch->state() == watch_state::closed));
  BOOST_TEST(watch->next()->object.resource_version == "1");
  const auto error = watch->next();
  BOOST_TEST((error->why->code == ec::stale));
}

BOOST_AUTO_TEST_CASE(a_slow_reader_pauses_the_stream) {
  constexpr int count = 10'000; // more than the system keeps on its way
  std::atomic<std::size_t> sent{0};
  stream_server server{[&](const std::string&, peer& p) {
    p.send(stream_server::stream_head());
    for (int i = 1; i <= count && p.chunk(line(i, "ADDED", std::string(2'000, 'x'))); ++i) sent = static_cast<std::size_t>(i);
    p.send("0\r\n\r\n");
  }};
  client_limits limits;
  limits.max_unread_events = 20;
  limits.watch_idle_timeout = 2s; // does not count while it is the reader who is slow
  const auto client = open(server.url(), limits);
  const auto watch = a_watch(*client);
  drive(*client, [&] { return watch->unread() >= 20U; });
  const auto until = std::chrono::steady_clock::now() + 4s;
  while (std::chrono::steady_clock::now() < until) client->run_for(50ms);
  BOOST_TEST(watch->unread() < 60U); // the bound, and what one piece of a transfer holds
  BOOST_TEST(sent < count);
  BOOST_TEST((watch->state() == watch_state::open));
  int next = 1;
  drive(*client, [&] {
    while (const auto event = watch->next()) BOOST_REQUIRE(event->object.resource_version == std::to_string(next++));
    return next > count;
  });
  finish(*client, *watch);
  BOOST_TEST((watch->state() == watch_state::closed));
}

BOOST_AUTO_TEST_CASE(calls_and_watches_do_not_share_connections) {
  stream_server server{[](const std::string& request, peer& p) {
    if (request.find("watch=true") == std::string::npos) {
      p.send(stream_server::reply("200 OK", list_body));
      return;
    }
    p.send(stream_server::stream_head());
    p.wait_until_gone();
    p.close_after();
  }};
  const auto client = open(server.url());
  BOOST_REQUIRE(body(*client, a_list()).ok());
  {
    const auto one = a_watch(*client), two = a_watch(*client);
    drive(*client, [&] { return one->state() == watch_state::open && two->state() == watch_state::open; });
    for (int i = 0; i < 5; ++i) BOOST_REQUIRE(body(*client, a_list()).ok());
    BOOST_TEST(server.connections() == 3U);
  }
  for (int i = 0; i < 5; ++i) BOOST_REQUIRE(body(*client, a_list()).ok());
  BOOST_TEST(server.connections() == 3U);
  BOOST_TEST(client->counters().watches == 2U);
  BOOST_TEST(client->counters().connections == 3U);
}

BOOST_AUTO_TEST_CASE(a_stream_is_cut_into_lines) {
  words out;
  line_splitter lines{8};
  const auto take = [&out](std::string l) { out.push_back(std::move(l)); };
  BOOST_TEST(lines.feed("ab", take));
  BOOST_TEST(lines.feed("c\n\n \r\ndef\n12345678\ngh", take));
  BOOST_TEST((out == words{"abc", "def", "12345678"}));
  BOOST_TEST(lines.pending_bytes() == 2U);
  BOOST_TEST(!lines.feed("3456789\n", take));
}
