// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_address
#include "adapters/git/http_listing.hpp"
#include "tests/support/closed_port.hpp"
#include "tests/support/git_http_server.hpp"
#include "tests/support/git_listing.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/scripted_server.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <optional>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

ip_range range(const char* text) { return parse_ip_range(text).value(); }

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/"};

  setup() {
    origin.commit("a/f", "1");
    limits.addresses.guarded = true;
    forget_proxies();
  }

  /// Lists by a connection of its own and by an engine; both say the same.
  result<listing> list(const std::string& url, const credentials& auth = {}) const {
    auto alone = list_refs({url, auth}, prefixes, {}, limits, cancel);
    const auto engine = make_listing_engine(limits, 2);
    const auto got = list_with(*engine, {url, auth}, prefixes);
    BOOST_TEST(alone.ok() == got.ok());
    if (!alone) BOOST_TEST(describe(alone.error()) == describe(got.error()));
    return alone;
  }
  result<fetch_report> fetch_all(const std::string& url) const {
    auto into = open_mirror(scratch / "mirror", "id");
    BOOST_REQUIRE(into);
    ref_table target;
    target.refs.push_back({"refs/heads/main", *oid::parse(origin.git("rev-parse HEAD").substr(0, 40)), {}});
    auto report = fetch(**into, {url, {}}, target, limits, cancel, false, {});
    if (report) BOOST_REQUIRE((*into)->settle());
    return report;
  }
};

/// Its rules are those of the moment.
struct changing_rules : setup {
  live<transport_limits> current{limits};
  void rules(std::vector<ip_range> allow, std::vector<ip_range> deny) {
    limits.addresses = {std::move(allow), std::move(deny), false};
    current.set(limits);
  }
};

void check_refused(const failure& f, const std::string& text) {
  BOOST_TEST((class_of(f.code) == error_class::needs_change), describe(f));
  BOOST_TEST(f.what == text);
  BOOST_TEST(f.field == "spec.git.repo");
}

std::string redirect(const std::string& to) { return "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\n\r\n"; }
constexpr const char* advertisement = "/info/refs?service=git-upload-pack";

} // namespace

BOOST_FIXTURE_TEST_CASE(loopback_is_refused_however_it_is_written, setup) {
  const scripted_server server{[](const std::string&) { return scripted_server::reply("200 OK", "text/plain", "?"); }};
  const auto port = server.url("").substr(server.url("").rfind(':') + 1);
  for (const std::string host : {"127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"}) {
    const auto refused = list("http://" + host + ":" + port + "/r");
    BOOST_REQUIRE(!refused);
    check_refused(refused.error(), host + ":" + port + ": its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it");
  }
  for (const std::string host : {"[::1]", "[0:0:0:0:0:0:0:1]"})
    check_refused(list("http://" + host + ":" + port + "/r").error(), host + ":" + port + ": its address ::1 is refused (loopback); --allow-cidr ::1/128 would allow it");
  check_refused(list("http://[::ffff:127.0.0.1]:" + port + "/r").error(),
                "[::ffff:127.0.0.1]:" + port + ": its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it");
  check_refused(list("https://169.254.169.254/latest").error(),
                "169.254.169.254: its address 169.254.169.254 is refused (cloud metadata); --allow-cidr 169.254.169.254/32 would allow it");
  check_refused(list("https://0.0.0.0/r").error(), "0.0.0.0: its address 0.0.0.0 is refused (unspecified); --allow-cidr 0.0.0.0/32 would allow it");
  const auto fetched = fetch_all(server.url());
  BOOST_REQUIRE(!fetched);
  check_refused(fetched.error(), "127.0.0.1:" + port + ": its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it");
  BOOST_TEST(server.requests().empty());
}

BOOST_FIXTURE_TEST_CASE(a_name_is_judged_by_what_it_resolves_to, setup) {
  const git_http_server server{scratch.path()};
  const auto port = server.url("").substr(0, server.url("").rfind('/')).substr(server.url("").rfind(':') + 1);
  const auto url = "http://localhost:" + port + "/origin/.git";
  const auto refused = list(url);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::invalid_spec), describe(refused.error()));
  BOOST_TEST(refused.error().what.starts_with("localhost:" + port + ": its address "), describe(refused.error()));
  BOOST_TEST(refused.error().what.find("is refused (loopback); --allow-cidr ") != std::string::npos);
  BOOST_TEST((fetch_all(url).error().code == ec::invalid_spec));

  limits.addresses.allowed = {range("127.0.0.0/8")}; // ::1 stays refused; 127.0.0.1 is tried then
  const auto listed = list(url);
  BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
  BOOST_TEST(listed->refs->refs.size() == 1U);
  const auto fetched = fetch_all(url);
  BOOST_REQUIRE_MESSAGE(fetched, text_of(fetched));
  BOOST_TEST(fetched->pack_received);
}

BOOST_FIXTURE_TEST_CASE(redirects_are_judged_too, setup) {
  limits.addresses.allowed = {range("127.0.0.5/32")};
  const scripted_server inner{[](const std::string&) { return scripted_server::reply("200 OK", "text/plain", "secret of the pod"); }};
  const auto inner_port = inner.url("").substr(inner.url("").rfind(':') + 1);
  struct row {
    std::string target, text;
  };
  for (const auto& [target, text] : {row{inner.url(), "127.0.0.1:" + inner_port + ": its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it"},
                                     row{"http://169.254.169.254/latest", "169.254.169.254: its address 169.254.169.254 is refused (cloud metadata); --allow-cidr 169.254.169.254/32 would allow it"},
                                     row{"http://[::ffff:7f00:1]:" + inner_port, "[::ffff:7f00:1]:" + inner_port + ": its address 127.0.0.1 is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it"}}) {
    const scripted_server outer{[&, to = target](const std::string&) { return redirect(to + advertisement); }, "127.0.0.5"};
    const auto from = outer.url("").substr(7);
    check_refused(list(outer.url()).error(), from + ": the server redirects to " + text);
    BOOST_TEST(outer.requests().size() == 2U);
  }
  const scripted_server outer{[&](const std::string&) { return redirect(inner.url("/repo", "localhost") + advertisement); }, "127.0.0.5"};
  const auto refused = list(outer.url());
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().what.starts_with("localhost:" + inner_port + ": its address "), describe(refused.error()));
  BOOST_TEST(refused.error().what.find(", to which " + outer.url("").substr(7) + " redirects, is refused (loopback); --allow-cidr ") != std::string::npos, describe(refused.error()));
  BOOST_TEST((refused.error().code == ec::invalid_spec));
  BOOST_TEST((fetch_all(outer.url()).error().code == ec::invalid_spec));
  BOOST_TEST(inner.requests().empty());
}

BOOST_FIXTURE_TEST_CASE(denied_without_a_cluster_too, setup) {
  limits.addresses.guarded = false;
  const git_http_server server{scratch.path()};
  BOOST_REQUIRE(list(server.url("origin/.git")));
  limits.addresses.denied = {range("127.0.0.0/8")};
  const auto refused = list(server.url("origin/.git"));
  BOOST_REQUIRE(!refused);
  BOOST_TEST(refused.error().what.ends_with(": its address 127.0.0.1 is refused by --deny-cidr 127.0.0.0/8; --allow-cidr 127.0.0.1/32 would allow it"), describe(refused.error()));
  limits.addresses.allowed = {range("127.0.0.1/32")};
  BOOST_TEST(list(server.url("origin/.git")).ok());
}

BOOST_FIXTURE_TEST_CASE(an_address_that_is_allowed_but_silent_is_unreachable, setup) {
  limits.addresses.allowed = {range("127.0.0.0/8")};
  const closed_port port;
  const auto gone = "http://localhost:" + std::to_string(port.number()) + "/repo"; // ::1 is refused, 127.0.0.1 is tried
  BOOST_TEST((list(gone).error().code == ec::unreachable), describe(list(gone).error()));
}

BOOST_FIXTURE_TEST_CASE(the_proxy_of_the_operator_is_his_own_affair, setup) {
  const scripted_server proxy{[](const std::string&) { return scripted_server::reply("200 OK", "text/html", "<html>"); }};
  ::setenv("http_proxy", proxy.url("").c_str(), 1);
  const auto through = list("http://git.invalid/r");
  BOOST_REQUIRE(!through);
  BOOST_TEST((through.error().code == ec::not_found), describe(through.error())); // the proxy's web page
  BOOST_REQUIRE(proxy.requests().size() == 2U);
  BOOST_TEST(proxy.requests()[0].starts_with("GET http://git.invalid/r/info/refs"));
  check_refused(list("http://169.254.169.254/r").error(), "169.254.169.254: its address 169.254.169.254 is refused (cloud metadata); --allow-cidr 169.254.169.254/32 would allow it");
  ::setenv("no_proxy", "localhost", 1);
  BOOST_TEST((list(proxy.url("/r", "localhost")).error().code == ec::invalid_spec));
  BOOST_TEST(proxy.requests().size() == 2U);
  ::unsetenv("http_proxy");
  ::unsetenv("no_proxy");
}

BOOST_FIXTURE_TEST_CASE(rules_that_change_hold_for_kept_connections_too, changing_rules) {
  const git_http_server server{scratch.path()};
  const remote_endpoint remote{server.url("origin/.git"), {}};
  rules({}, {});
  const auto engine = make_listing_engine(current, 2);
  const auto through_name = server.url("origin/.git").replace(7, 9, "localhost"); // only its address tells what it is
  for (const auto& url : {remote.url, through_name}) {
    rules({}, {});
    BOOST_REQUIRE(list_with(*engine, {url, {}}, prefixes));
    const auto made = engine->connections_opened();
    BOOST_REQUIRE(list_with(*engine, {url, {}}, prefixes));
    BOOST_TEST(engine->connections_opened() == made); // it was kept
    rules({}, {range("127.0.0.0/8"), range("::1/128")});
    const auto refused = list_with(*engine, {url, {}}, prefixes);
    BOOST_REQUIRE(!refused);
    BOOST_TEST((refused.error().code == ec::invalid_spec), text_of(refused));
    BOOST_TEST(refused.error().what.find("--deny-cidr") != std::string::npos, text_of(refused));
    rules({range("127.0.0.1/32")}, {range("127.0.0.0/8")});
    BOOST_TEST(list_with(*engine, {url, {}}, prefixes).ok());
  }
}
