// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_daemon
#include "adapters/git/git_remote.hpp"
#include "tests/support/closed_port.hpp"
#include "tests/support/git_listing.hpp"
#include "tests/support/git_repository.hpp"
#include "tests/support/script_server.hpp"
#include "tests/support/scripted_server.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  const script_server server{"git_daemon.py", {scratch.path().string()}};
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/", "refs/tags/"};

  setup() {
    forget_proxies();
    limits.allow_git_protocol = true;
    origin.commit("a/f", "1");
    origin.git("tag -a -m t a/v1");
  }
  [[nodiscard]] std::string url(const std::string& path = "origin/.git", const std::string& host = "127.0.0.1") const {
    return "git://" + host + ":" + server.value("port") + "/" + path;
  }
  [[nodiscard]] result<listing> list(const std::string& at, const std::string& known = {}, const credentials& auth = {}) const {
    return list_refs({at, auth}, prefixes, known, limits, cancel);
  }
  void check_refused(const result<listing>& l, ec code, const std::string& part) const {
    BOOST_REQUIRE(!l);
    BOOST_TEST((l.error().code == code), text_of(l));
    BOOST_TEST(l.error().what.find(part) != std::string::npos, text_of(l));
  }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(lists_and_fetches, setup) {
  const auto listed = list(url());
  BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
  BOOST_TEST((listed->protocol == protocol_version::v2));
  BOOST_TEST(listed->refs->refs.size() == 2U);
  BOOST_TEST(listed->refs->head_target == "refs/heads/main");
  BOOST_TEST(listed->received_bytes > 0U);
  BOOST_TEST(!list(url(), listed->digest)->refs);

  const auto dir = scratch / "mirror";
  auto mirror = open_mirror(dir, "id");
  BOOST_REQUIRE_MESSAGE(mirror, text_of(mirror));
  for (const char* contents : {"2", "3"}) {
    const auto now = list(url());
    BOOST_REQUIRE_MESSAGE(now, text_of(now));
    const auto report = fetch(**mirror, {url(), {}}, *now->refs, limits, cancel, false, {});
    BOOST_REQUIRE_MESSAGE(report, text_of(report));
    BOOST_TEST(report->pack_received);
    BOOST_REQUIRE((*mirror)->settle());
    BOOST_TEST(shell("git -C '" + dir.string() + "' for-each-ref") == origin.git("for-each-ref"));
    origin.commit("a/f", contents);
  }
}

BOOST_FIXTURE_TEST_CASE(says_what_it_does_not_do, setup) {
  check_refused(list(url("absent")), ec::auth_rejected, ""); // it does not say which
  check_refused(list(url(), {}, {"u", "p", {}, {}}), ec::auth_rejected, "carries no credentials");
  const closed_port nobody;
  check_refused(list("git://127.0.0.1:" + std::to_string(nobody.number()) + "/r"), ec::unreachable, "");
  credentials through_proxy;
  through_proxy.proxy = {"http://127.0.0.1:1", "u", "p"};
  check_refused(list(url(), {}, through_proxy), ec::auth_rejected, "plain text");
  limits.max_listing_bytes = 10;
  check_refused(list(url()), ec::too_large, "10 bytes");
  limits.allow_git_protocol = false;
  check_refused(list(url()), ec::invalid_spec, "--allow-git-protocol");
}

BOOST_FIXTURE_TEST_CASE(goes_only_where_it_may, setup) {
  limits.addresses.denied = {*parse_ip_range("127.0.0.0/8"), *parse_ip_range("::1/128")};
  check_refused(list(url()), ec::invalid_spec, "--deny-cidr");
  check_refused(list(url("origin/.git", "localhost")), ec::invalid_spec, "--deny-cidr"); // only its address tells
}

BOOST_FIXTURE_TEST_CASE(waits_for_nobody_for_ever, setup) {
  const scripted_server silent{[](const std::string&) { return std::string{}; }};
  const auto at = "git" + silent.url().substr(4);
  limits.low_speed_time = 1s;
  check_refused(list(at), ec::timed_out, "sends nothing");
  limits.low_speed_time = 300s;
  cancel.deadline = std::chrono::steady_clock::now() + 300ms;
  check_refused(list(at), ec::timed_out, "before the deadline");
  cancel.deadline = std::chrono::steady_clock::time_point::max();
  cancel.stop = true;
  check_refused(list(at), ec::cancelled, "");
}
