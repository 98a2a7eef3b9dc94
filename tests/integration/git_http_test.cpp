// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_http
#include "adapters/git/http_listing.hpp"
#include "tests/support/closed_port.hpp"
#include "tests/support/git_http_server.hpp"
#include "tests/support/git_listing.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/scripted_server.hpp"

#include <boost/test/unit_test.hpp>
#include <optional>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/", "refs/tags/"};

  setup() {
    origin.commit("a/f", "1");
    origin.git("tag -a -m t a/v1");
  }
  result<listing> list(const remote_endpoint& remote, const std::string& known = {}) const { return list_refs(remote, prefixes, known, limits, cancel); }
  void check_fetch(const remote_endpoint& remote) {
    const auto dir = scratch / "mirror";
    auto m = open_mirror(dir, "id");
    BOOST_REQUIRE_MESSAGE(m, text_of(m));
    for (const char* contents : {"2", "3"}) {
      const auto listed = list(remote);
      BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
      const auto report = fetch(**m, remote, *listed->refs, limits, cancel, false, {});
      BOOST_REQUIRE_MESSAGE(report, text_of(report));
      BOOST_TEST(report->pack_received);
      BOOST_REQUIRE((*m)->settle());
      BOOST_TEST(shell("git -C '" + dir.string() + "' for-each-ref") == origin.git("for-each-ref"));
      BOOST_TEST(shell("git -C '" + dir.string() + "' fsck --full --strict --no-dangling 2>&1") == "");
      origin.commit("a/f", contents);
    }
    m = failure{};
    BOOST_REQUIRE(remove_mirror(dir));
  }
};

std::string packets(std::initializer_list<std::string> lines) {
  std::string out;
  char length[5];
  for (const auto& l : lines) {
    std::snprintf(length, sizeof length, "%04zx", l.size() + 4);
    out += l.empty() ? "0000" : length + l;
  }
  return out;
}
const std::string tip(40, '1');
const std::string v2_hello = packets({"# service=git-upload-pack\n", "", "version 2\n", "ls-refs=unborn\n", "fetch=shallow\n", "object-format=sha1\n", ""});
const std::string hello_type = "application/x-git-upload-pack-advertisement";
const std::string refs_type = "application/x-git-upload-pack-result";
bool is_hello(const std::string& request) { return request.starts_with("GET "); }
std::string v2_answer(const std::string& request) {
  return is_hello(request) ? scripted_server::reply("200 OK", hello_type, v2_hello) : scripted_server::reply("200 OK", refs_type, packets({tip + " refs/heads/main\n", ""}));
}
bool carries_credentials(const std::string& request) { return request.find("uthorization:") != std::string::npos; }

} // namespace

BOOST_FIXTURE_TEST_CASE(tls_with_a_private_ca_and_basic_auth, setup) {
  const git_http_server server{scratch.path(), {"--tls", "--user", "someone", "--password", "p:ss w\"rd"}};
  const git_http_server other{scratch.path(), {"--tls"}};
  const remote_endpoint remote{server.url("origin/.git"), {"someone", "p:ss w\"rd", {}, server.ca_pem()}};
  const auto listed = list(remote);
  BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
  BOOST_TEST(listed->refs->refs.size() == 2U);
  BOOST_TEST((listed->protocol == protocol_version::v2));
  BOOST_TEST(!list(remote, listed->digest)->refs);
  check_fetch(remote);

  auto wrong = remote;
  wrong.auth.password = "secret-of-mine";
  const auto rejected = list(wrong);
  BOOST_REQUIRE(!rejected);
  BOOST_TEST((rejected.error().code == ec::auth_rejected), text_of(rejected));
  BOOST_TEST(text_of(rejected).find("secret-of-mine") == std::string::npos);
  wrong.auth = {{}, {}, {}, server.ca_pem()};
  BOOST_TEST((list(wrong).error().code == ec::auth_rejected));
  for (const auto& ca : {std::string{}, other.ca_pem()}) {
    wrong = remote;
    wrong.auth.ca_bundle_pem = ca;
    const auto untrusted = list(wrong);
    BOOST_REQUIRE(!untrusted);
    BOOST_TEST((untrusted.error().code == ec::unreachable), text_of(untrusted));
    BOOST_TEST(text_of(untrusted).find("CA") != std::string::npos);
  }
  wrong.auth.ca_bundle_pem = "no certificate";
  BOOST_TEST((list(wrong).error().code == ec::auth_rejected), text_of(list(wrong)));

  // One engine keeps the connection, and never lends it to another trust.
  const auto engine = make_listing_engine(limits, 4);
  BOOST_REQUIRE(list_with(*engine, remote, prefixes));
  BOOST_REQUIRE(list_with(*engine, remote, prefixes));
  BOOST_TEST(engine->connections_opened() == 1U);
  wrong = remote;
  wrong.auth.ca_bundle_pem = other.ca_pem();
  BOOST_TEST((list_with(*engine, wrong, prefixes).error().code == ec::unreachable));
  wrong = remote;
  wrong.auth.password = "x";
  BOOST_TEST((list_with(*engine, wrong, prefixes).error().code == ec::auth_rejected));
  BOOST_TEST(list_with(*engine, remote, prefixes)->digest == list(remote)->digest);
}

BOOST_FIXTURE_TEST_CASE(a_server_without_v2, setup) {
  const git_http_server server{scratch.path(), {"--v0"}};
  const remote_endpoint remote{server.url("origin/.git"), {}};
  const auto listed = list(remote);
  BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
  BOOST_TEST((listed->protocol == protocol_version::v0));
  BOOST_TEST(listed->refs->head_target == "refs/heads/main");
  BOOST_TEST(listed->refs->refs.size() == 2U);
  BOOST_TEST(!listed->refs->refs[1].peeled.is_zero());
  BOOST_TEST(!list(remote, listed->digest)->refs);
  check_fetch(remote);
}

BOOST_FIXTURE_TEST_CASE(plain_http_and_what_is_not_there, setup) {
  const git_http_server server{scratch.path()};
  check_fetch({server.url("origin/.git"), {}});
  const auto absent = list({server.url("absent"), {}});
  BOOST_TEST((absent.error().code == ec::not_found), text_of(absent));
  const auto refused = list({server.url("origin/.git"), {"u", "p", {}, {}}});
  BOOST_TEST((refused.error().code == ec::auth_rejected), text_of(refused));
  shell("git init -q --bare --object-format=sha256 '" + (scratch / "sha256").string() + "'");
  const auto sha256 = list({server.url("sha256"), {}});
  BOOST_TEST((sha256.error().code == ec::unsupported), text_of(sha256));
  git_repository empty{scratch / "empty"};
  BOOST_TEST(list({server.url("empty/.git"), {}})->refs->refs.empty());
}

BOOST_FIXTURE_TEST_CASE(many_on_one_connection, setup) {
  const git_http_server server{scratch.path()};
  const auto engine = make_listing_engine(limits, 2);
  BOOST_REQUIRE(list_with(*engine, {server.url("origin/.git"), {}}, prefixes));
  int done = 0;
  for (int i = 0; i < 20; ++i) engine->start({server.url("origin/.git"), {}}, prefixes, {}, {}, [&](result<listing> l) { done += l.ok() ? 1 : 0; });
  BOOST_TEST(engine->active() == 20U);
  for (const auto until = std::chrono::steady_clock::now() + 60s; engine->active() > 0 && std::chrono::steady_clock::now() < until;) engine->run_for(200ms);
  BOOST_TEST(done == 20);
  BOOST_TEST(engine->connections_opened() <= 2U);
}

BOOST_FIXTURE_TEST_CASE(answers_and_their_classes, setup) {
  struct row {
    std::string answer;
    ec expected;
  };
  const auto reply = &scripted_server::reply;
  const row rows[] = {
    {reply("401 Unauthorized", "text/html", "body-secret", "WWW-Authenticate: Basic realm=x\r\n"), ec::auth_rejected},
    {reply("403 Forbidden", "text/plain", "body-secret", ""), ec::auth_rejected},
    {reply("403 Forbidden", "text/plain", "body-secret", "Retry-After: 17\r\n"), ec::throttled},
    {reply("404 Not Found", "text/plain", "body-secret", ""), ec::not_found},
    {reply("429 Too Many Requests", "text/plain", "body-secret", "Retry-After: 17\r\n"), ec::throttled},
    {reply("500 Oops", "text/plain", "body-secret", ""), ec::unavailable},
    {reply("503 Busy", "text/plain", "body-secret", "Retry-After: 17\r\n"), ec::unavailable},
    {reply("200 OK", "text/html", "<!DOCTYPE html>body-secret", ""), ec::not_found},
    {reply("200 OK", "text/plain", tip + "\trefs/heads/main\n", ""), ec::unsupported},
    {reply("200 OK", hello_type, "not packets", ""), ec::unsupported},
    {reply("200 OK", hello_type, "", ""), ec::unavailable},
    {reply("200 OK", hello_type, packets({"# service=git-upload-pack\n", "", "ERR access denied body-secret\n"}), ""), ec::auth_rejected},
    {"HTTP/1.1 200 OK\r\nContent-Type: " + hello_type + "\r\nContent-Length: 999\r\n\r\n0000", ec::unavailable},
    {"garbage\r\n\r\n", ec::unsupported},
    {"HTTP/1.1 301 Moved\r\nLocation: ftp://example.com/\r\nContent-Length: 0\r\n\r\n", ec::unsupported},
  };
  for (const auto& r : rows) {
    const scripted_server server{[&](const std::string&) { return r.answer; }};
    limits.low_speed_time = r.answer.find("999") != std::string::npos ? 1s : 60s; // what is never whole
    const auto l = list({server.url(), {}});
    BOOST_REQUIRE(!l);
    if (r.answer.starts_with("garbage")) BOOST_TEST((l.error().code == ec::unsupported || l.error().code == ec::unavailable), text_of(l));
    else if (r.answer.find("999") != std::string::npos) BOOST_TEST((l.error().code == ec::unavailable || l.error().code == ec::timed_out), text_of(l));
    else BOOST_TEST((l.error().code == r.expected), r.answer << " -> " << text_of(l));
    BOOST_TEST(l.error().what.find("127.0.0.1") != std::string::npos, l.error().what);
    BOOST_TEST(l.error().what.find("body-secret") == std::string::npos);
    if (r.answer.find("Retry-After") != std::string::npos) BOOST_TEST((l.error().retry_after == std::optional{17'000ms}));
  }
}

/// GitHub, GitLab and the draft standard each have names of their own for it.
BOOST_FIXTURE_TEST_CASE(budgets_of_requests, setup) {
  const auto until = [](std::chrono::seconds from_now) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>((std::chrono::system_clock::now() + from_now).time_since_epoch()).count());
  };
  const std::string draft = "RateLimit-Remaining: 0\r\nRateLimit-Reset: 40\r\n", of_old = "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: " + until(45s) + "\r\n";
  for (const auto& headers : {draft, of_old}) {
    const scripted_server refuses{[&](const std::string&) { return scripted_server::reply("429 Too Many Requests", "text/plain", "", headers); }};
    const auto refused = list({refuses.url(), {}});
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == ec::throttled), headers);
    const auto pause = refused.error().retry_after.value_or(0ms);
    BOOST_TEST((pause > 30s && pause <= 45s), headers << pause.count());
    const scripted_server gives_its_last{[&](const std::string& request) {
      return is_hello(request) ? scripted_server::reply("200 OK", hello_type, v2_hello) : scripted_server::reply("200 OK", refs_type, packets({tip + " refs/heads/main\n", ""}), headers);
    }};
    const auto listed = list({gives_its_last.url(), {}});
    BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
    BOOST_TEST(listed->refs->refs.size() == 1U);
    BOOST_TEST((listed->host_pause.value_or(0ms) > 30s && listed->host_pause.value_or(0ms) <= 45s), headers);
  }
  const scripted_server has_more{[&](const std::string& request) {
    return is_hello(request) ? scripted_server::reply("200 OK", hello_type, v2_hello)
                             : scripted_server::reply("200 OK", refs_type, packets({tip + " refs/heads/main\n", ""}), "X-RateLimit-Remaining: 1\r\nX-RateLimit-Reset: " + until(45s) + "\r\n");
  }};
  BOOST_TEST(!list({has_more.url(), {}})->host_pause);
}

BOOST_FIXTURE_TEST_CASE(unreachable_hanging_cancelled, setup) {
  const closed_port gone;
  BOOST_TEST((list({gone.url(), {}}).error().code == ec::unreachable), text_of(list({gone.url(), {}})));
  BOOST_TEST((list({"http://" + std::string(64, 'a') + ".invalid/x", {}}).error().code == ec::unreachable)); // a name that is too long for any DNS to be asked
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  cancel.deadline = std::chrono::steady_clock::now() + 2s;
  BOOST_TEST((list({silent.url(), {}}).error().code == ec::timed_out));
  cancel.deadline = std::chrono::steady_clock::time_point::max();
  limits.total_timeout = 2s;
  BOOST_TEST((list({silent.url(), {}}).error().code == ec::timed_out));
  limits.total_timeout = 300s;
  limits.low_speed_time = 1s;
  BOOST_TEST((list({silent.url(), {}}).error().code == ec::timed_out));
  limits.low_speed_time = 300s;
  const auto begun = std::chrono::steady_clock::now();
  const auto engine = make_listing_engine(limits, 1);
  auto token = std::make_shared<cancel_token>();
  std::thread stopper{[&] {
    std::this_thread::sleep_for(100ms);
    token->stop = true;
    engine->wake();
  }};
  BOOST_TEST((list_with(*engine, {silent.url(), {}}, prefixes, {}, token).error().code == ec::cancelled));
  stopper.join();
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 60s)); // none of its own limits
  int told = 0;
  {
    const auto ending = make_listing_engine(limits, 1);
    for (int i = 0; i < 3; ++i) ending->start({silent.url(), {}}, prefixes, {}, {}, [&](result<listing> l) { told += l.ok() ? 0 : 1; });
    ending->run_for(10ms);
  }
  BOOST_TEST(told == 3);
  for (int i = 0; i < 3; ++i) engine->start({silent.url(), {}}, prefixes, {}, {}, [&](result<listing> l) { told += !l && l.error().code == ec::shutting_down ? 1 : 0; });
  engine->run_for(10ms);
  engine->abandon();
  BOOST_TEST(told == 6);
  BOOST_TEST(engine->active() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_silent_host_takes_no_slot_from_others, setup) {
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  const scripted_server good{v2_answer};
  std::vector<cancel_token_ptr> tokens;
  std::vector<ec> said;
  int listed = 0;
  const auto engine = make_listing_engine(limits, 8);
  for (int i = 0; i < 20; ++i) {
    tokens.push_back(std::make_shared<cancel_token>());
    engine->start({silent.url("/" + std::to_string(i)), {}}, prefixes, {}, tokens.back(), [&](result<listing> l) { said.push_back(l ? ec::internal : l.error().code); });
  }
  for (int i = 0; i < 12; ++i)
    engine->start({good.url("/" + std::to_string(i)), {}}, prefixes, {}, {}, [&](result<listing> l) { listed += l.ok() ? 1 : 0; });
  const auto begun = std::chrono::steady_clock::now();
  while (listed < 12 && std::chrono::steady_clock::now() - begun < 60s) engine->run_for(50ms);
  BOOST_TEST(listed == 12);
  BOOST_TEST(said.empty());
  BOOST_TEST(silent.requests().size() <= 2U);
  // One that never came to its turn says nothing of its remote.
  tokens.back()->deadline = std::chrono::steady_clock::now();
  while (said.empty() && std::chrono::steady_clock::now() - begun < 60s) engine->run_for(50ms);
  BOOST_REQUIRE(said.size() == 1U);
  BOOST_TEST((said.front() == ec::overloaded));
}

BOOST_FIXTURE_TEST_CASE(a_listing_has_its_time_from_when_its_turn_has_come, setup) {
  const scripted_server slow{[](const std::string& r) { // answers once, then never
    if (is_hello(r)) std::this_thread::sleep_for(5s);
    return is_hello(r) ? v2_answer(r) : std::string{};
  }};
  const scripted_server good{v2_answer};
  limits.total_timeout = 6s;
  const auto engine = make_listing_engine(limits, 1);
  const auto begun = std::chrono::steady_clock::now();
  std::vector<ec> said;
  std::optional<result<listing>> last;
  for (int i = 0; i < 2; ++i)
    engine->start({slow.url("/" + std::to_string(i)), {}}, prefixes, {}, std::make_shared<cancel_token>(), [&](result<listing> l) { said.push_back(l ? ec::internal : l.error().code); });
  engine->start({good.url(), {}}, prefixes, {}, std::make_shared<cancel_token>(), [&](result<listing> l) { last = std::move(l); });
  while (!last && std::chrono::steady_clock::now() - begun < 60s) engine->run_for(50ms);
  BOOST_REQUIRE(last); // it waited longer than a listing may take
  BOOST_TEST(last->ok(), text_of(*last));
  BOOST_REQUIRE(said.size() == 2U);
  for (const auto code : said) BOOST_TEST((code == ec::timed_out));
  BOOST_TEST((std::chrono::steady_clock::now() - begun >= 11s));
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 21s)); // both requests of a listing share its time: 12 s, not 22 s
}

BOOST_FIXTURE_TEST_CASE(all_listings_share_a_budget, setup) {
  const auto many_refs = [](std::size_t bytes) {
    std::string out;
    for (int i = 0; out.size() < bytes; ++i) out += packets({tip + " refs/heads/branch-" + std::to_string(i) + "\n"});
    return out;
  };
  const auto begin = [&](const std::string& body, const std::string& rest) { // never sends the rest
    return "HTTP/1.1 200 OK\r\nContent-Type: " + refs_type + "\r\nContent-Length: " + std::to_string(body.size() + rest.size()) + "\r\n\r\n" + body;
  };
  const scripted_server hanging{[&](const std::string& r) { return is_hello(r) ? v2_answer(r) : begin(many_refs(600'000), "0000"); }};
  const scripted_server large{[&](const std::string& r) { return is_hello(r) ? v2_answer(r) : scripted_server::reply("200 OK", refs_type, many_refs(600'000) + "0000"); }};
  const scripted_server large_v0{[&](const std::string&) {
    return scripted_server::reply("200 OK", hello_type, packets({"# service=git-upload-pack\n", ""}) + packets({tip + " HEAD" + std::string{"\0side-band-64k\n", 15}}) + many_refs(600'000) + "0000");
  }};
  const scripted_server small{v2_answer};
  limits.max_listings_bytes = 1'000'000;
  const auto engine = make_listing_engine(limits, 4);
  BOOST_TEST(list_with(*engine, {large.url(), {}}, prefixes).ok());
  const auto token = std::make_shared<cancel_token>();
  std::optional<ec> ended = ec::unavailable;
  const auto hang = [&] {
    if (std::exchange(ended, std::nullopt))
      engine->start({hanging.url(), {}}, prefixes, {}, token, [&](result<listing> l) { ended = l ? ec::internal : l.error().code; });
  };
  const auto begun = std::chrono::steady_clock::now();
  const auto refused = [&] {
    const auto l = list_with(*engine, {large.url(), {}}, prefixes);
    return !l && l.error().what.find("too large together") != std::string::npos && l.error().code == ec::overloaded;
  };
  for (hang(); !refused() && std::chrono::steady_clock::now() - begun < 60s; hang()) engine->run_for(20ms); // until the other has all that it gets
  BOOST_TEST(refused());
  const auto v0 = list_with(*engine, {large_v0.url(), {}}, prefixes);
  BOOST_TEST(text_of(v0).find("too large together") != std::string::npos, text_of(v0));
  BOOST_TEST((v0.error().code == ec::overloaded));
  BOOST_TEST(list_with(*engine, {small.url(), {}}, prefixes).ok()); // has its own place
  token->stop = true;
  while (!ended && std::chrono::steady_clock::now() - begun < 120s) engine->run_for(10ms);
  BOOST_TEST((ended == std::optional{ec::cancelled}));
  for (int i = 0; i < 3; ++i) { // all is given back
    BOOST_TEST(list_with(*engine, {large.url(), {}}, prefixes).ok());
    BOOST_TEST(list_with(*engine, {large_v0.url(), {}}, prefixes).ok());
  }
  const scripted_server too_large{[&](const std::string& r) { return is_hello(r) ? v2_answer(r) : scripted_server::reply("200 OK", refs_type, many_refs(1'100'000) + "0000"); }};
  BOOST_TEST((list_with(*engine, {too_large.url(), {}}, prefixes).error().code == ec::too_large)); // its own doing
}

BOOST_FIXTURE_TEST_CASE(redirects, setup) {
  limits.allow_plaintext_credentials = true;
  const scripted_server final_place{v2_answer};
  const auto to = [](const std::string& url) { return "HTTP/1.1 302 Found\r\nLocation: " + url + "\r\nContent-Length: 0\r\n\r\n"; };
  const scripted_server other_host{[&](const std::string&) { return to(final_place.url("/moved/info/refs?service=git-upload-pack", "localhost")); }};
  const credentials auth{"u", "p", {}, {}};
  BOOST_REQUIRE_MESSAGE(list({other_host.url(), auth}), text_of(list({other_host.url(), auth})));
  for (const auto& r : final_place.requests()) {
    BOOST_TEST(!carries_credentials(r), r);
    BOOST_TEST(r.find(" /moved/") != std::string::npos);
  }
  const scripted_server same_host{[&](const std::string& r) {
    return r.find("GET /repo/") == 0 ? "HTTP/1.1 301 Moved\r\nLocation: /new/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n" : v2_answer(r);
  }};
  const auto moved = list({same_host.url(), auth});
  BOOST_REQUIRE_MESSAGE(moved, text_of(moved));
  BOOST_TEST(same_host.requests().size() == 3U);
  for (const auto& r : same_host.requests()) BOOST_TEST(carries_credentials(r));
  const scripted_server loop{[&](const std::string&) { return "HTTP/1.1 301 Moved\r\nLocation: /again/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n"; }};
  BOOST_TEST((list({loop.url(), {}}).error().code == ec::unsupported));
  BOOST_TEST(loop.requests().size() == static_cast<std::size_t>(limits.max_redirects) + 1);
}

BOOST_FIXTURE_TEST_CASE(what_a_server_speaks_is_remembered_and_unlearnt, setup) {
  bool v2 = true;
  const scripted_server server{[&](const std::string& r) {
    if (v2) return v2_answer(r);
    return is_hello(r) ? scripted_server::reply("200 OK", hello_type, packets({"# service=git-upload-pack\n", "", tip + " refs/heads/main" + std::string{"\0side-band-64k\n", 15}, ""}))
                       : scripted_server::reply("400 Bad", "text/plain", "?");
  }};
  const auto engine = make_listing_engine(limits, 2);
  const remote_endpoint remote{server.url(), {{}, {}, "token-1", {}}};
  BOOST_TEST((list_with(*engine, remote, prefixes).error().code == ec::auth_rejected)); // a token over plain http
  limits.allow_plaintext_credentials = true;
  const auto allowed = make_listing_engine(limits, 2);
  const auto first = list_with(*allowed, remote, prefixes);
  BOOST_REQUIRE_MESSAGE(first, text_of(first));
  BOOST_TEST(server.requests().size() == 2U);
  BOOST_TEST(server.requests()[0].find("Authorization: Bearer token-1\r\n") != std::string::npos);
  BOOST_TEST(server.requests()[0].find("Git-Protocol: version=2\r\n") != std::string::npos);
  BOOST_TEST(!list_with(*allowed, remote, prefixes, first->digest)->refs);
  BOOST_TEST(server.requests().size() == 3U);
  BOOST_TEST(allowed->connections_opened() == 1U);
  v2 = false;
  const auto later = list_with(*allowed, remote, prefixes, first->digest);
  BOOST_REQUIRE_MESSAGE(later, text_of(later));
  BOOST_TEST((later->protocol == protocol_version::v0));
  BOOST_TEST(later->refs->refs.size() == 1U);
  BOOST_TEST(server.requests().size() == 5U);
}

BOOST_FIXTURE_TEST_CASE(limits_hold, setup) {
  const scripted_server endless{[](const std::string& r) {
    return is_hello(r) ? v2_answer(r) : scripted_server::reply("200 OK", refs_type, std::string(200'000, '0'));
  }};
  limits.max_listing_bytes = 100'000;
  BOOST_TEST((list({endless.url(), {}}).error().code == ec::too_large));
  const auto bad_secret = list({"https://127.0.0.1:1/x", {"u", "p\r\nX-Evil: 1", {}, {}}});
  BOOST_TEST((bad_secret.error().code == ec::auth_rejected));
}
