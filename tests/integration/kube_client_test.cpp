// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_client
#include "tests/support/closed_port.hpp"
#include "tests/support/kube_peer.hpp"

#include <mutex>
#include <set>

using namespace veranda;
using namespace veranda::kube;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(calls_carry_what_they_should) {
  stream_server server{[](const std::string&, peer& p) { p.send(stream_server::reply("200 OK", list_body, "Warning: 299 - \"old field\"\r\n")); }};
  auto config = at(server.url() + "/prefix");
  config.user.as = {"boss", "7", {"a", "b"}, {{"Team.io/x", {"y"}}}};
  client_limits limits;
  limits.user_agent = "veranda/1 (test)";
  const auto client = open_api_client(config, anonymous(), limits);
  auto got = call(*client, a_list());
  BOOST_REQUIRE(got.ok());
  BOOST_TEST(got->body == list_body);
  BOOST_TEST((got->warnings == words{"old field"}));
  auto patch = call(*client, status_patch_request(repositories(), {"blue", "x"}, "7", "{}"));
  BOOST_REQUIRE(patch.ok());
  const auto remove = call(*client, delete_request(repositories(), {"blue", "x"}, {"u", ""}));
  const auto seen = server.requests();
  BOOST_REQUIRE_EQUAL(seen.size(), 3U);
  BOOST_TEST(seen[0].starts_with("GET /prefix/apis/config.porch.kpt.dev/v1alpha1/repositories?limit=500&resourceVersion=0 HTTP/1.1\r\n"));
  for (const auto* header : {"User-Agent: veranda/1 (test)\r\n", "Accept: application/json\r\n", "Impersonate-User: boss\r\n", "Impersonate-Uid: 7\r\n", "Impersonate-Group: a\r\n",
                             "Impersonate-Group: b\r\n", "Impersonate-Extra-team.io%2fx: y\r\n", "Accept-Encoding: gzip\r\n"})
    BOOST_TEST(seen[0].find(header) != std::string::npos, header);
  BOOST_TEST(seen[1].starts_with("PATCH /prefix/apis/config.porch.kpt.dev/v1alpha1/namespaces/blue/repositories/x/status?fieldManager=veranda HTTP/1.1\r\n"));
  BOOST_TEST(seen[1].find("Content-Type: application/merge-patch+json\r\n") != std::string::npos);
  BOOST_TEST(seen[1].ends_with("\r\n\r\n{\"metadata\":{\"resourceVersion\":\"7\"},\"status\":{}}"));
  BOOST_TEST(seen[2].starts_with("DELETE "));
  BOOST_TEST(seen[2].ends_with("\"preconditions\":{\"uid\":\"u\"}}"));
  BOOST_TEST(server.connections() == 1U); // kept
}

BOOST_AUTO_TEST_CASE(credentials_never_go_over_plain_http) {
  stream_server server{[](const std::string&, peer& p) { p.send(stream_server::reply("200 OK", list_body)); }};
  const auto client = open_api_client(at(server.url()), std::make_unique<scripted_credentials>([](bool) {
                                        credential_reading r;
                                        r.credentials.token = "hunter2";
                                        r.credentials.username = "me";
                                        r.credentials.password = "hunter2";
                                        return r;
                                      }), {});
  BOOST_REQUIRE(body(*client, a_list()).ok());
  BOOST_TEST(server.requests()[0].find("Authorization") == std::string::npos);
  BOOST_TEST(server.requests()[0].find("hunter2") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(refused_credentials_are_read_anew_and_tried_once_more) {
  struct row {
    std::string what;
    bool renewable, helps;
    int readings, requests, status;
  };
  const row rows[] = {
    {"something newer is there", true, true, 2, 2, 200},
    {"it is still the same", true, false, 2, 1, 401},
    {"it can never be another", false, true, 1, 1, 401},
  };
  for (const auto& r : rows) {
    std::atomic<int> readings{0};
    std::atomic<bool> renewed{false};
    stream_server server{[&](const std::string& request, peer& p) {
      if (!renewed) p.send(stream_server::reply("401 Unauthorized", R"({"kind":"Status","reason":"Unauthorized","code":401})"));
      else if (request.find("watch=true") != std::string::npos) p.send(stream_server::stream_head() + "0\r\n\r\n");
      else p.send(stream_server::reply("200 OK", list_body));
    }};
    const auto script = [&](bool rejected) {
      ++readings;
      credential_reading out;
      out.fresh_for = 1h;
      renewed = rejected && r.helps;
      out.credentials.token = renewed ? "new" : "old";
      return out;
    };
    const auto client = open_api_client(at(server.url()), std::make_unique<scripted_credentials>(script, r.renewable), {});
    const auto got = call(*client, a_list());
    BOOST_REQUIRE_MESSAGE(got.ok(), r.what);
    BOOST_TEST(got->status == r.status, r.what);
    BOOST_TEST(readings == r.readings, r.what);
    BOOST_TEST(server.requests().size() == static_cast<std::size_t>(r.requests), r.what);
    // Many at once ask for one reading at most, and not again so soon.
    int answered = 0;
    for (int i = 0; i < 10; ++i) client->start(a_list(), [&](result<api_answer>) { ++answered; });
    drive(*client, [&] { return answered == 10; });
    BOOST_TEST(readings == r.readings, r.what);
  }
}

BOOST_AUTO_TEST_CASE(after_a_refused_watch_the_next_has_better_credentials) {
  std::atomic<bool> renewed{false};
  stream_server server{[&](const std::string&, peer& p) {
    if (renewed) p.send(stream_server::stream_head() + "0\r\n\r\n");
    else p.send(stream_server::reply("401 Unauthorized", ""));
  }};
  const auto client = open_api_client(at(server.url()), std::make_unique<scripted_credentials>([&](bool rejected) {
                                        renewed = rejected;
                                        credential_reading out;
                                        out.credentials.token = rejected ? "new" : "old";
                                        return out;
                                      }), {});
  const auto first = a_watch(*client);
  finish(*client, *first);
  BOOST_TEST((first->why()->code == ec::auth_rejected));
  drive(*client, [&] { return renewed.load(); });
  const auto second = a_watch(*client);
  finish(*client, *second);
  BOOST_TEST((second->state() == watch_state::closed));
}

BOOST_AUTO_TEST_CASE(answers_that_are_odd) {
  struct row {
    std::string bytes;
    ec code;
  };
  const auto cut = stream_server::reply("200 OK", list_body);
  const row rows[] = {
    {stream_server::reply("200 OK", "<html>hunter2</html>", {}, "text/html"), ec::unsupported},
    {stream_server::reply("200 OK", ""), ec::unavailable},
    {stream_server::reply("302 Found", "", "Location: http://127.0.0.1:1/\r\n"), ec::unsupported},
    {stream_server::reply("500 Oops", "oops", {}, "text/plain"), ec::unavailable},
    {stream_server::reply("404 Not Found", "404 page not found", {}, "text/plain"), ec::not_found},
    {cut.substr(0, cut.size() - 5), ec::unavailable},
    {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"kin", ec::unavailable},
    {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ec::unavailable},
    {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", ec::unavailable},
    {"SSH-2.0-OpenSSH_9.2\r\n", ec::unavailable},
    {"", ec::unavailable},
    {"HTTP/1.1 200 OK\r\nX: " + std::string(400'000, 'x') + "\r\n\r\n", ec::too_large},
    {stream_server::reply("200 OK", "{\"x\":\"" + std::string(200'000, 'x') + "\"}"), ec::too_large},
  };
  for (const auto& r : rows) {
    stream_server server{[&r](const std::string&, peer& p) {
      p.send(r.bytes);
      p.close_after();
    }};
    client_limits limits;
    limits.max_body_bytes = 100'000;
    limits.call_timeout = 30s; // reads that broke are repeated once
    const auto client = open(server.url(), limits);
    const auto got = body(*client, a_list());
    const auto label = r.bytes.substr(0, 60);
    BOOST_REQUIRE_MESSAGE(!got.ok(), label);
    BOOST_TEST((got.error().code == r.code || (r.code == ec::too_large && got.error().code == ec::unavailable && r.bytes.starts_with("HTTP/1.1 200 OK\r\nX"))),
               label << " -> " << describe(got.error()));
    BOOST_TEST(got.error().what.find("hunter2") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(nobody_there) {
  const test::closed_port port;
  client_limits limits;
  limits.call_timeout = 30s;
  const auto client = open(port.url(), limits);
  const auto got = call(*client, a_list());
  BOOST_TEST((got.error().code == ec::unreachable));
  BOOST_TEST(got.error().object == "repositories.config.porch.kpt.dev");
  const auto watch = a_watch(*client);
  finish(*client, *watch);
  BOOST_TEST((watch->state() == watch_state::failed));
  BOOST_TEST((watch->why()->code == ec::unreachable));
}

BOOST_AUTO_TEST_CASE(retry_after_is_obeyed_and_no_more_often_than_that) {
  std::atomic<int> asked{0}, seconds{1};
  stream_server server{[&](const std::string&, peer& p) {
    const auto later = "Retry-After: " + std::to_string(seconds) + "\r\n";
    if (++asked <= 2) p.send(stream_server::reply("429 Too Many Requests", "Too many requests, please try again later.\n", later, "text/plain"));
    else p.send(stream_server::reply("201 Created", "{}"));
  }};
  const auto client = open(server.url());
  const auto begun = std::chrono::steady_clock::now();
  BOOST_TEST(body(*client, create_request(repositories(), "blue", "{}")).ok());
  BOOST_TEST((std::chrono::steady_clock::now() - begun >= 2s));
  BOOST_TEST(asked == 3);
  BOOST_TEST(client->counters().repeated == 2U);
  // No time for it: the answer stands, and says how long.
  asked = 0;
  seconds = 120;
  auto short_of_time = a_list();
  short_of_time.timeout = 60s;
  const auto got = body(*client, short_of_time);
  BOOST_TEST((got.error().code == ec::throttled));
  BOOST_TEST((got.error().retry_after == std::optional<std::chrono::milliseconds>{120s}));
}

BOOST_AUTO_TEST_CASE(what_is_repeated) {
  const auto get = a_list();
  const auto post = create_request(repositories(), "blue", "{}");
  const result<api_answer> lost = failure{ec::unavailable, "x", {}, {}, {}};
  const auto answered = [](int status, std::optional<std::chrono::milliseconds> wait) { return result<api_answer>{api_answer{status, {}, {}, wait, {}}}; };
  struct row {
    const api_request& request;
    result<api_answer> answer;
    unsigned tries;
    std::optional<std::chrono::milliseconds> expected;
  };
  const row rows[] = {
    {get, lost, 1, 1s},
    {get, lost, 2, {}},
    {post, lost, 1, {}},
    {get, failure{ec::timed_out, "x", {}, {}, {}}, 1, {}},
    {get, failure{ec::too_large, "x", {}, {}, {}}, 1, {}},
    {post, answered(429, 3s), 10, 3s},
    {post, answered(429, 3s), 11, {}},
    {post, answered(503, 1s), 1, 1s},
    {post, answered(503, {}), 1, {}},
    {get, answered(503, {}), 1, {}},
    {get, answered(200, 1s), 1, {}},
    {get, answered(409, 1s), 1, {}},
  };
  for (const auto& r : rows) BOOST_TEST((repeat_after(r.request, r.answer, r.tries) == r.expected));
  const api_answer future{504, {}, R"({"kind":"Status","code":504,"details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}})", 1s, {}};
  BOOST_TEST((repeat_after(get, future, 1) == std::nullopt));
}

BOOST_AUTO_TEST_CASE(the_rate_is_limited) {
  token_bucket bucket{2, 3};
  token_bucket::time now{1h};
  for (int i = 0; i < 3; ++i) BOOST_TEST(bucket.take(now));
  BOOST_TEST(!bucket.take(now));
  BOOST_TEST((bucket.wait(now) > 490ms && bucket.wait(now) <= 501ms));
  BOOST_TEST(bucket.take(now + 501ms));
  BOOST_TEST(!bucket.take(now + 502ms));
  now += 1h;
  for (int i = 0; i < 3; ++i) BOOST_TEST(bucket.take(now));
  BOOST_TEST(!bucket.take(now));
  BOOST_TEST(!bucket.take(now - 30min)); // a clock that goes back gives nothing

  stream_server server{[](const std::string&, peer& p) { p.send(stream_server::reply("200 OK", list_body)); }};
  client_limits limits;
  limits.requests_per_second = 20;
  limits.burst = 5;
  const auto client = open(server.url(), limits);
  int answered = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 15; ++i) client->start(a_list(), [&](result<api_answer> got) { answered += got.ok() ? 1 : 0; });
  drive(*client, [&] { return answered == 15; });
  BOOST_TEST((std::chrono::steady_clock::now() - begun >= 450ms));
}

BOOST_AUTO_TEST_CASE(silence_and_deadlines) {
  stream_server server{[](const std::string& request, peer& p) {
    if (request.find("watch=true") != std::string::npos) p.send(stream_server::stream_head());
    else p.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    p.wait_until_gone();
    p.close_after();
  }};
  client_limits limits;
  limits.idle_timeout = 1'500ms;
  limits.watch_idle_timeout = 1'500ms;
  const auto client = open(server.url(), limits);
  BOOST_TEST((call(*client, a_list()).error().code == ec::timed_out));
  const auto silent = a_watch(*client);
  finish(*client, *silent);
  BOOST_TEST((silent->state() == watch_state::idle));
  limits.watch_idle_timeout = 1h;
  limits.watch_slack = 0ms;
  limits.connect_timeout = 1'500ms;
  const auto other = open(server.url(), limits);
  const auto endless = other->watch(watch_request(repositories(), {}, "1", 0s), repositories(), 0s);
  finish(*other, *endless);
  BOOST_TEST((endless->state() == watch_state::closed));
}

BOOST_AUTO_TEST_CASE(cancelled_and_abandoned) {
  stream_server server{[](const std::string&, peer& p) {
    p.wait_until_gone();
    p.close_after();
  }};
  auto client = open(server.url());
  std::vector<ec> ended;
  const auto note = [&](result<api_answer> got) { ended.push_back(got.error().code); };
  const auto running = client->start(a_list(), note);
  drive(*client, [&] { return !server.requests().empty(); });
  client->cancel(running);
  client->cancel(running + 1'000);
  drive(*client, [&] { return ended.size() == 1; });
  const auto early = client->start(a_list(), note);
  client->cancel(early);
  drive(*client, [&] { return ended.size() == 2; });
  BOOST_TEST((ended == std::vector{ec::cancelled, ec::cancelled}));
  client->start(a_list(), note);
  auto watch = a_watch(*client);
  drive(*client, [&] { return server.requests().size() == 3; });
  client->start(a_list(), note); // never begun
  client.reset();
  BOOST_TEST((ended == std::vector{ec::cancelled, ec::cancelled, ec::shutting_down, ec::shutting_down}));
  BOOST_TEST((watch->state() == watch_state::failed));
  BOOST_TEST((watch->why()->code == ec::shutting_down));
}

BOOST_AUTO_TEST_CASE(nothing_is_written_without_leave) {
  std::atomic<bool> answering{false};
  stream_server server{[&](const std::string& request, peer& p) {
    if (request.starts_with("GET") || answering) {
      p.send(stream_server::reply("200 OK", list_body));
      return;
    }
    p.wait_until_gone();
    p.close_after();
  }};
  std::atomic<bool> leave{false};
  client_limits limits;
  limits.may_write = [&] { return leave.load(); };
  const auto client = open(server.url(), limits);
  const auto a_write = [] { return merge_patch_request(repositories(), {"blue", "a"}, {}, "{}"); };
  const auto refused = call(*client, a_write());
  BOOST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().code == ec::shutting_down));
  BOOST_TEST(server.requests().empty());
  BOOST_TEST(body(*client, a_list()).ok()); // reading needs none
  // It is taken away while a write waits for its answer.
  leave = true;
  std::optional<result<api_answer>> ended;
  client->start(a_write(), [&](result<api_answer> got) { ended = std::move(got); });
  drive(*client, [&] { return server.requests().size() == 2; });
  leave = false;
  drive(*client, [&] { return ended.has_value(); });
  BOOST_TEST((ended->error().code == ec::shutting_down));
  leave = answering = true;
  BOOST_TEST(body(*client, a_write()).ok());
}

BOOST_AUTO_TEST_CASE(a_call_that_was_given_up_takes_its_connection_along) {
  stream_server server{[&](const std::string& request, peer& p) {
    if (request.find("limit=7&") == std::string::npos && request.find("limit=7 ") == std::string::npos) {
      p.send(stream_server::reply("200 OK", list_body));
      return;
    }
    p.wait_until_gone();
    p.close_after();
  }};
  client_limits limits;
  limits.one_call_per_connection = true;
  const auto client = open(server.url(), limits);
  auto hanging = list_request(repositories(), {}, {"0", "", 7});
  hanging.timeout = 2s;
  BOOST_TEST((call(*client, hanging).error().code == ec::timed_out));
  BOOST_TEST(body(*client, a_list()).ok());
  BOOST_TEST(body(*client, a_list()).ok());
  BOOST_TEST(server.connections() == 2U); // and one that is well is kept
}

BOOST_AUTO_TEST_CASE(wake_ends_a_slice) {
  stream_server server{[](const std::string&, peer& p) { p.wait_until_gone(); }};
  const auto client = open(server.url());
  client->start(a_list(), [](result<api_answer>) {});
  drive(*client, [&] { return !server.requests().empty(); });
  std::thread other{[&] { client->wake(); }};
  const auto begun = std::chrono::steady_clock::now();
  client->run_for(120s);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 60s));
  other.join();
}
