// links: veranda_adapter_secrets
#define BOOST_TEST_MODULE fetched_secrets
#include "adapters/secrets/fetched_secrets.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::secrets;
using namespace std::chrono_literals;

namespace {

const object_key key{"team", "git"};
const object_key bundle{"team", "team-ca-bundle"};
const std::string host = "git.example";

/// A Secret as an API server answers it; `data` in base64.
std::string answer(const std::string& type, const std::string& data, const std::string& version = "7", const std::string& annotations = "{}", const object_key& k = key) {
  return R"({"kind":"Secret","apiVersion":"v1","metadata":{"name":")" + k.name + R"(","namespace":")" + k.ns + R"(","uid":"u","resourceVersion":")" + version +
         R"(","annotations":)" + annotations + R"(,"managedFields":[{"manager":"kubectl","fieldsV1":{"f:data":{}}}]},"data":)" + data + R"(,"type":")" + type + R"("})";
}
const std::string basic = answer("kubernetes.io/basic-auth", R"({"username":"dQ==","password":"cA==","other":"eA=="})");
const std::string token = answer("Opaque", R"({"bearerToken":"dG9r"})", "8");
failure because(ec code) { return {code, "why", "Secret team/git", {}, {}}; }

fetched_options with_bundles() {
  fetched_options options;
  options.ca_bundles = true;
  return options;
}

struct cache {
  fetched_secrets::time now{1h};
  fetched_secrets subject{with_bundles(), [this] { return now; }};

  void put(const std::string& json, const object_key& k = key) { subject.store(k, read_fetched(json, k)); }
  std::string outcome(const std::string& name = "git") {
    const auto got = subject.resolve("team", name, host);
    return got ? got->username + ":" + got->password + ":" + got->bearer_token : std::string{to_string(got.error().code)};
  }
  cache() { subject.store(bundle, because(ec::dependency_missing)); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(fetched, cache)

BOOST_AUTO_TEST_CASE(answers_without_waiting) {
  BOOST_TEST(outcome() == "unavailable");
  BOOST_TEST(!subject.fetched_at(key).has_value());
  put(basic);
  BOOST_TEST(outcome() == "u:p:");
  BOOST_TEST((subject.fetched_at(key) == now));
  put(token);
  BOOST_TEST(outcome() == "::tok");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_a_secret_is_named) {
  const std::vector<std::pair<std::string, std::string>> table{
    {answer("kubernetes.io/basic-auth", R"({"username":"dQ=="})"), "data.password"},
    {answer("Opaque", R"({"password":"cA=="})"), "data.username"},
    {answer("Opaque", "{}"), "data"},
    {answer("kubernetes.io/tls", "{}"), "data.tls.crt"},
    {answer("kubernetes.io/dockercfg", "{}"), "type"},
    {answer("Opaque", R"({"bearerToken":""})"), "data.bearerToken"},
    {answer("Opaque", R"({"bearerToken":"%%%"})"), "data.bearerToken"},
    {answer("Opaque", R"({"bearerToken":"dG9r"})", "7", R"({"veranda.dev/hosts":"other.example"})"), "metadata.annotations"},
  };
  for (const auto& [json, field] : table) {
    put(json);
    const auto got = subject.resolve("team", "git", host);
    BOOST_REQUIRE(!got);
    BOOST_TEST((got.error().code == ec::auth_rejected));
    BOOST_TEST(got.error().field == field);
    BOOST_TEST(got.error().object == "Secret team/git");
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_secret_leaves_what_is_known) {
  put(basic);
  for (const auto* json : {"", "<html>", "{}", "[]", R"({"kind":"Secret","apiVersion":"v1"})", R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"git","namespace":"team"}})"}) {
    const auto read = read_fetched(json, key);
    BOOST_REQUIRE(!read);
    BOOST_TEST((read.error().code == ec::unavailable));
    put(json);
    BOOST_TEST(outcome() == "u:p:");
  }
  BOOST_TEST(!read_fetched(basic, {"other", "git"}));
}

BOOST_AUTO_TEST_CASE(good_bytes_serve_for_a_while_when_the_server_is_away) {
  put(basic);
  now += 9min;
  subject.store(key, because(ec::unreachable));
  BOOST_TEST(outcome() == "u:p:");
  now += 1min;
  BOOST_TEST(outcome() == "unreachable");
  put(basic);
  BOOST_TEST(outcome() == "u:p:");
}

BOOST_AUTO_TEST_CASE(that_there_is_none_is_remembered_when_the_server_is_away) {
  subject.store(key, because(ec::dependency_missing));
  subject.store(key, because(ec::unreachable));
  BOOST_TEST(outcome() == "dependency_missing");
  subject.store(bundle, because(ec::unreachable));
  BOOST_TEST(outcome("") == "::");
  now += 10min;
  BOOST_TEST(outcome() == "unreachable");
  BOOST_TEST(outcome("") == "unreachable");
}

BOOST_AUTO_TEST_CASE(one_that_is_gone_or_forbidden_serves_no_more) {
  for (const auto code : {ec::dependency_missing, ec::auth_rejected}) {
    put(basic);
    subject.store(key, because(code));
    BOOST_TEST(outcome() == to_string(code));
  }
}

BOOST_AUTO_TEST_CASE(a_version_tells_what_changes_an_outcome) {
  put(basic);
  const auto first = subject.version(key);
  put(basic);
  BOOST_TEST(subject.version(key) == first);
  subject.store(key, because(ec::timed_out));
  BOOST_TEST(subject.version(key) == first);
  put(token);
  BOOST_TEST(subject.version(key) != first);
  subject.store(key, because(ec::dependency_missing));
  const auto missing = subject.version(key);
  subject.store(key, because(ec::auth_rejected));
  BOOST_TEST(subject.version(key) != missing);
}

BOOST_AUTO_TEST_CASE(what_is_stored_may_be_another_than_before) {
  BOOST_TEST(!subject.store(key, read_fetched(basic, key))); // nothing was known
  BOOST_TEST(!subject.store(key, read_fetched(answer("kubernetes.io/basic-auth", R"({"username":"dQ==","password":"cA==","other":"eQ=="})", "8", R"({"note":"x"})"), key)));
  BOOST_TEST(!subject.store(key, because(ec::timed_out)));
  BOOST_TEST(subject.store(key, read_fetched(token, key)));
  BOOST_TEST(subject.store(key, read_fetched(answer("Opaque", R"({"bearerToken":"dG9r"})", "9", R"({"veranda.dev/hosts":"git.example"})"), key)));
  BOOST_TEST(subject.store(key, because(ec::dependency_missing)));
  BOOST_TEST(!subject.store(key, because(ec::dependency_missing)));
  BOOST_TEST(subject.store(key, read_fetched(token, key)));
}

BOOST_AUTO_TEST_CASE(what_is_forgotten_is_not_kept) {
  put(basic);
  BOOST_TEST(subject.size() == 2U);
  subject.forget(key);
  subject.forget(key);
  BOOST_TEST(subject.size() == 1U);
  BOOST_TEST(outcome() == "unavailable");
  BOOST_TEST(!subject.fetched_at(key).has_value());
  put(token);
  BOOST_TEST(outcome() == "::tok");
}

BOOST_AUTO_TEST_CASE(a_namespace_may_have_a_ca_bundle) {
  const auto pem = answer("Opaque", R"({"ca.crt":"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"})", "1", "{}", bundle);
  BOOST_TEST(outcome("") == "::"); // none
  subject.store(bundle, because(ec::auth_rejected));
  BOOST_TEST(outcome("") == "::"); // may not be read
  put(pem, bundle);
  BOOST_TEST(subject.resolve("team", "", host)->ca_bundle_pem == "-----BEGIN CERTIFICATE-----");
  put(basic);
  BOOST_TEST(subject.resolve("team", "git", host)->ca_bundle_pem == "-----BEGIN CERTIFICATE-----");
}

BOOST_AUTO_TEST_CASE(bundles_are_not_asked_for_unless_wanted) {
  fetched_secrets without;
  BOOST_TEST(without.resolve("team", "", host).ok());
  BOOST_TEST(!without.resolve("team", "git", host).ok());
  without.store(key, read_fetched(basic, key));
  BOOST_TEST(without.resolve("team", "git", host).ok());
  BOOST_TEST(subject.resolve("", "", host).ok()); // a remote that is nobody's own
}

BOOST_AUTO_TEST_CASE(only_what_is_used_is_kept) {
  const auto read = read_fetched(answer("Opaque", R"({"bearerToken":"dG9r","x":"eA=="})", "7", R"({"a":"b","veranda.dev/hosts":"git.example"})"), key);
  BOOST_REQUIRE(read);
  BOOST_TEST(read->bytes.data.size() == 1U);
  BOOST_TEST(read->bytes.annotations.size() == 1U);
  const auto more = read_fetched(answer("Opaque", R"({"tls.crt":"eA==","tls.key":"eA==","proxy":"eA==","proxyUsername":"eA==","proxyPassword":"eA==","identity":"eA==","known_hosts":"eA==","y":"eA=="})"), key);
  BOOST_REQUIRE(more);
  BOOST_TEST(more->bytes.data.size() == 7U);
  BOOST_TEST(more->bytes.data.at("tls.key") == "x");
  BOOST_TEST(more->bytes.data.at("identity") == "x");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(memory_is_bounded_by_dropping_what_was_used_longest_ago) {
  fetched_options limits = with_bundles();
  limits.max_secrets = 3;
  fetched_secrets subject{limits};
  const auto put = [&](const std::string& name) {
    const object_key k{"team", name};
    subject.store(k, read_fetched(answer("Opaque", R"({"bearerToken":"dG9r"})", "7", "{}", k), k));
  };
  subject.store(bundle, because(ec::dependency_missing));
  put("a");
  put("b");
  BOOST_TEST(subject.resolve("team", "a", host).ok()); // uses the bundle, too
  put("c");
  BOOST_TEST(subject.size() == 3U);
  BOOST_TEST(!subject.resolve("team", "b", host).ok());
  BOOST_TEST(subject.resolve("team", "a", host).ok());

  limits.max_bytes = 2'000;
  fetched_secrets small{limits};
  for (const auto* name : {"x", "y"}) {
    const object_key k{"team", name};
    fetched_secret big;
    big.bytes.type = "Opaque";
    big.bytes.data["bearerToken"] = std::string(1'500, 'x');
    small.store(k, big);
  }
  BOOST_TEST(small.size() == 1U);
}
