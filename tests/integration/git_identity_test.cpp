// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_identity
#include "adapters/git/http_listing.hpp"
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

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  transport_limits limits;
  cancel_token cancel;
  ref_prefixes prefixes{"refs/heads/"};

  setup() {
    origin.commit("a/f", "1");
    forget_proxies();
  }
  result<listing> list(const remote_endpoint& remote) const { return list_refs(remote, prefixes, {}, limits, cancel); }
  result<listing> list_with(listing_engine& engine, const remote_endpoint& remote) const { return test::list_with(engine, remote, prefixes); }
};

std::string answer(const std::string& status) { return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"; }

} // namespace

BOOST_FIXTURE_TEST_CASE(a_client_certificate, setup) {
  const git_http_server server{scratch.path(), {"--mtls"}};
  const git_http_server other{scratch.path(), {"--mtls"}};
  remote_endpoint remote{server.url("origin/.git"), {}};
  remote.auth.ca_bundle_pem = server.ca_pem();
  BOOST_TEST(!list(remote).ok(), "nobody is let in without one");
  remote.auth.client_certificate_pem = server.client_certificate_pem();
  remote.auth.client_key_pem = server.client_key_pem();
  const auto listed = list(remote);
  BOOST_REQUIRE_MESSAGE(listed, text_of(listed));
  auto into = open_mirror(scratch / "mirror", "id");
  BOOST_REQUIRE(into);
  const auto fetched = fetch(**into, remote, *listed->refs, limits, cancel, false, {});
  BOOST_REQUIRE_MESSAGE(fetched, text_of(fetched));
  BOOST_REQUIRE((*into)->settle());

  auto foreign = remote;
  foreign.auth.client_certificate_pem = other.client_certificate_pem();
  foreign.auth.client_key_pem = other.client_key_pem();
  BOOST_TEST(!list(foreign).ok(), "of another CA");

  auto broken = remote;
  broken.auth.client_key_pem = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";
  const auto unusable = list(broken);
  BOOST_REQUIRE(!unusable);
  BOOST_TEST((unusable.error().code == ec::auth_rejected), text_of(unusable));
  BOOST_TEST(unusable.error().field == "spec.git.secretRef");
  BOOST_TEST(text_of(unusable).find("tls.key") != std::string::npos);

  // An open connection is lent to whoever has both, not to whoever has the certificate, which everybody may see.
  const auto engine = make_listing_engine(limits, 2);
  BOOST_REQUIRE(list_with(*engine, remote));
  BOOST_REQUIRE(list_with(*engine, remote));
  BOOST_TEST(engine->connections_opened() == 1U);
  auto thief = remote;
  thief.auth.client_key_pem = other.client_key_pem();
  BOOST_TEST((list_with(*engine, thief).error().code == ec::auth_rejected));
  thief.auth.client_certificate_pem.clear();
  thief.auth.client_key_pem.clear();
  BOOST_TEST(!list_with(*engine, thief).ok());
  BOOST_TEST(list_with(*engine, remote).ok());
}

BOOST_FIXTURE_TEST_CASE(an_encrypted_key_asks_nobody, setup) {
  const git_http_server server{scratch.path(), {"--mtls"}};
  const auto plain = (scratch / "plain.key").string();
  std::ofstream{plain} << server.client_key_pem();
  remote_endpoint remote{server.url("origin/.git"), {}};
  remote.auth.ca_bundle_pem = server.ca_pem();
  remote.auth.client_certificate_pem = server.client_certificate_pem();
  remote.auth.client_key_pem = shell("openssl pkcs8 -topk8 -in '" + plain + "' -passout pass:x");
  BOOST_REQUIRE(remote.auth.client_key_pem.find("ENCRYPTED") != std::string::npos);
  BOOST_TEST((list(remote).error().code == ec::auth_rejected), text_of(list(remote)));
}

BOOST_FIXTURE_TEST_CASE(a_client_certificate_is_not_for_plain_http_nor_for_whom_it_is_redirected_to, setup) {
  const git_http_server server{scratch.path(), {"--mtls"}};
  credentials auth;
  auth.ca_bundle_pem = server.ca_pem();
  auth.client_certificate_pem = server.client_certificate_pem();
  auth.client_key_pem = server.client_key_pem();
  const scripted_server first{[&](const std::string&) {
    return "HTTP/1.1 302 Found\r\nLocation: " + server.url("origin/.git") + "/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n";
  }};
  BOOST_TEST((list({first.url(), auth}).error().code == ec::auth_rejected));
  BOOST_TEST(first.requests().empty());
  limits.allow_plaintext_credentials = true;
  BOOST_TEST(!list({first.url(), auth}).ok(), "the server behind the redirect asks for it in vain");
  BOOST_TEST(first.requests().size() == 1U);
  BOOST_TEST(list({server.url("origin/.git"), auth}).ok());
}

BOOST_FIXTURE_TEST_CASE(what_a_proxy_answers, setup) {
  struct row {
    std::string status;
    ec code;
    std::string text;
  };
  for (const auto& [status, code, text] : {row{"407 Authenticate", ec::auth_rejected, "wants other credentials (HTTP 407)"}, row{"403 No", ec::auth_rejected, "does not allow connections to this host (HTTP 403)"},
                                           row{"503 Later", ec::unavailable, "cannot connect to this host (HTTP 503)"}}) {
    const scripted_server proxy{[s = status](const std::string&) { return answer(s); }};
    credentials auth;
    auth.proxy.url = proxy.url("");
    const auto listed = list({"https://git.invalid/r", auth});
    BOOST_REQUIRE(!listed);
    BOOST_TEST((listed.error().code == code), text_of(listed));
    BOOST_TEST(listed.error().what == "git.invalid: the proxy of the secret (its key proxy) " + text);
    BOOST_TEST(listed.error().field == "spec.git.secretRef");
    BOOST_TEST(proxy.requests().size() == 1U);
    BOOST_TEST(proxy.requests()[0].starts_with("CONNECT git.invalid:443 HTTP/1.1\r\n"));
  }
}

BOOST_FIXTURE_TEST_CASE(a_proxy_is_at_an_address_too, setup) {
  const scripted_server proxy{[](const std::string&) { return answer("403 No"); }};
  limits.addresses.guarded = true;
  credentials auth;
  auth.proxy.url = proxy.url("");
  const auto refused = list({"https://git.invalid/r", auth});
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::invalid_spec), text_of(refused));
  BOOST_TEST(refused.error().what ==
             "git.invalid: the proxy of the secret (its key proxy): its address is one that is refused; --allow-cidr makes exceptions");
  BOOST_TEST(proxy.requests().empty());
  // It comes before the proxy of the environment, which is not judged.
  ::setenv("https_proxy", proxy.url("").c_str(), 1);
  BOOST_TEST((list({"https://git.invalid/r", auth}).error().code == ec::invalid_spec));
  const auto through = list({"https://git.invalid/r", {}});
  ::unsetenv("https_proxy");
  BOOST_REQUIRE(!through);
  BOOST_TEST(through.error().what == "git.invalid: the proxy of the environment does not allow connections to this host (HTTP 403)");
  BOOST_TEST(through.error().field == "");
}

BOOST_FIXTURE_TEST_CASE(the_user_of_a_proxy, setup) {
  const scripted_server proxy{[](const std::string&) { return answer("503 Later"); }};
  credentials auth;
  auth.proxy = {proxy.url(""), "someone", "pa55-of-proxy"};
  const auto kept = list({"https://git.invalid/r", auth});
  BOOST_REQUIRE(!kept);
  BOOST_TEST((kept.error().code == ec::auth_rejected), text_of(kept));
  BOOST_TEST(proxy.requests().empty());
  limits.allow_plaintext_credentials = true;
  const auto told = list({"https://git.invalid/r", auth});
  BOOST_TEST(text_of(told).find("pa55") == std::string::npos, text_of(told));
  BOOST_REQUIRE(!proxy.requests().empty());
  BOOST_TEST(proxy.requests()[0].find("Proxy-Authorization: Basic c29tZW9uZTpwYTU1LW9mLXByb3h5\r\n") != std::string::npos, proxy.requests()[0]);

  auth.proxy.url = "http://127.0.0.1:1";
  BOOST_TEST((list({"https://git.invalid/r", auth}).error().code == ec::unreachable));
  auth.proxy.url = "http://" + std::string(64, 'p') + ".invalid:1"; // too long for any DNS to be asked
  BOOST_TEST((list({"https://git.invalid/r", auth}).error().code == ec::unreachable));
}
