// links: veranda_adapter_codec nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE repository_codec
#include "adapters/codec/names.hpp"
#include "adapters/codec/repository_codec.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using nlohmann::json;

namespace {

json repository(json spec) {
  return {{"apiVersion", "config.porch.kpt.dev/v1alpha1"},
          {"kind", "Repository"},
          {"metadata", {{"name", "blueprints"}, {"namespace", "team"}}},
          {"spec", std::move(spec)}};
}

json git(json fields = json::object()) {
  json block{{"repo", "https://example.com/a.git"}};
  block.update(fields);
  return {{"type", "git"}, {"git", block}};
}

repository_object decode(const json& object) {
  auto decoded = codec::decode_repository(object.dump());
  BOOST_REQUIRE_MESSAGE(decoded.ok(), (decoded ? "" : describe(decoded.error())));
  return *decoded;
}

/// `field: value` of each problem.
std::vector<std::string> problems(const json& object) {
  std::vector<std::string> out;
  for (const auto& p : decode(object).problems) {
    BOOST_TEST(!p.rule.empty());
    out.push_back(p.field + ": " + p.value);
  }
  return out;
}

using lines = std::vector<std::string>;

} // namespace

BOOST_AUTO_TEST_CASE(a_small_repository_gets_the_defaults) {
  const auto r = decode(repository(git()));
  BOOST_TEST(r.problems.empty());
  BOOST_TEST(r.meta.key.ns == "team");
  BOOST_TEST(r.meta.key.name == "blueprints");
  BOOST_TEST((r.spec.type == repository_type::git));
  BOOST_REQUIRE(r.spec.git.has_value());
  BOOST_TEST(r.spec.git->repo == "https://example.com/a.git");
  BOOST_TEST(r.spec.git->branch == "main");
  BOOST_TEST(r.spec.git->directory.empty());
  BOOST_TEST(!r.spec.git->create_branch);
  BOOST_TEST(!r.spec.deployment);
  BOOST_TEST(r.spec.sync.schedule.empty());
  BOOST_TEST(!r.spec.sync.run_once_at.has_value());
}

BOOST_AUTO_TEST_CASE(everything_is_read) {
  auto object = repository(git({{"branch", "Release_1.2/x"}, {"directory", "/packages/core/"}, {"createBranch", true},
                                {"secretRef", {{"name", "git-auth"}}}, {"author", "A"}, {"email", "a@b"}}));
  object["spec"]["description"] = "d";
  object["spec"]["deployment"] = true;
  object["spec"]["content"] = "Package";
  object["spec"]["sync"] = {{"schedule", "not checked here"}, {"runOnceAt", "2026-03-10T10:07:30+01:00"}};
  object["metadata"]["uid"] = "u";
  object["metadata"]["resourceVersion"] = "7";
  object["metadata"]["generation"] = 3;
  object["metadata"]["labels"] = {{"a", "b"}};
  object["metadata"]["annotations"] = {{"veranda.dev/suspend", "true"}};
  object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
  object["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z";
  object["metadata"]["finalizers"] = {"f"};
  object["metadata"]["managedFields"] = json::array();
  object["status"] = {{"conditions", json::array()}};
  const auto r = decode(object);
  BOOST_TEST(r.problems.empty());
  BOOST_TEST(r.spec.git->branch == "Release_1.2/x");
  BOOST_TEST(r.spec.git->directory == "packages/core");
  BOOST_TEST(r.spec.git->secret_ref == "git-auth");
  BOOST_TEST(r.spec.git->create_branch);
  BOOST_TEST(r.spec.deployment);
  BOOST_TEST(r.spec.sync.schedule == "not checked here");
  BOOST_TEST(format_rfc3339(*r.spec.sync.run_once_at) == "2026-03-10T09:07:30Z");
  BOOST_TEST(r.meta.generation == 3);
  BOOST_TEST(r.meta.annotations.at("veranda.dev/suspend") == "true");
  BOOST_TEST(format_rfc3339(*r.meta.deleted) == "2026-01-02T00:00:00Z");
  BOOST_TEST(r.meta.finalizers == lines{"f"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(each_broken_rule_is_named) {
  const auto with = [](const char* key, json value) {
    auto object = repository(git());
    object["spec"][key] = std::move(value);
    return object;
  };
  struct row {
    json object;
    lines expected;
  };
  const std::vector<row> table{
      {repository({{"type", "git"}}), {"spec.git: "}},
      {repository({{"type", "helm"}, {"git", {{"repo", "x"}}}}), {"spec.type: helm"}},
      {repository({{"git", {{"repo", "x"}}}}), {"spec.type: "}},
      {repository({{"type", "oci"}, {"oci", {{"registry", "gcr.io/p"}}}}), {}},
      {repository({{"type", "oci"}, {"oci", json::object()}}), {"spec.oci.registry: "}},
      {with("oci", {{"registry", "r"}}), {"spec.oci: "}},
      {repository({{"type", "git"}, {"git", json::object()}}), {"spec.git.repo: "}},
      {with("git", {{"repo", 3}}), {"spec.git.repo: "}},
      {with("git", "x"), {"spec.git: x", "spec.git: "}},
      {repository(git({{"branch", "a b"}})), {"spec.git.branch: a b"}},
      {repository(git({{"branch", ""}})), {"spec.git.branch: "}},
      {repository(git({{"branch", 1.5}})), {"spec.git.branch: 1.5"}},
      {repository(git({{"directory", "a//b"}})), {"spec.git.directory: a//b"}},
      {repository(git({{"directory", "Upper"}})), {"spec.git.directory: Upper"}},
      {repository(git({{"directory", "../x"}})), {"spec.git.directory: ../x"}},
      {repository(git({{"directory", "///"}})), {}},
      {repository(git({{"createBranch", "yes"}})), {"spec.git.createBranch: yes"}},
      {repository(git({{"secretRef", "ghp_token"}})), {"spec.git.secretRef: "}},
      {repository(git({{"secretRef", {{"name", "Not A Name"}}}})), {"spec.git.secretRef.name: "}},
      {repository(git({{"pasword", "hunter2"}})), {"spec.git.pasword: "}},
      {with("content", "Function"), {"spec.content: Function"}},
      {with("deployment", "true"), {"spec.deployment: true"}},
      {with("sync", {{"runOnceAt", "tomorrow"}}), {"spec.sync.runOnceAt: tomorrow"}},
      {with("sync", {{"runOnceAt", nullptr}, {"schedule", 5}}), {"spec.sync.schedule: 5"}},
      {with("sync", {{"every", "5m"}}), {"spec.sync.every: "}},
      {with("speck", 1), {"spec.speck: "}},
      {with("description", std::string(500, 'x') ), {}},
      {with("content", std::string(500, 'x')), {"spec.content: " + std::string(80, 'x') + "..."}},
      {with("content", "a\nb\x01"), {"spec.content: a?b?"}},
  };
  for (const auto& [object, expected] : table)
    BOOST_TEST_CONTEXT(object.dump()) { BOOST_TEST(problems(object) == expected, boost::test_tools::per_element()); }
}

BOOST_AUTO_TEST_CASE(metadata_rules) {
  const auto with = [](const char* key, json value) {
    auto object = repository(git());
    object["metadata"][key] = std::move(value);
    return object;
  };
  BOOST_TEST(problems(with("name", "Bad_Name")) == lines{"metadata.name: Bad_Name"}, boost::test_tools::per_element());
  BOOST_TEST(problems(with("name", std::string(64, 'a'))).size() == 1U);
  BOOST_TEST(problems(with("name", std::string(63, 'a'))).empty());
  BOOST_TEST(problems(with("namespace", "A")) == lines{"metadata.namespace: A"}, boost::test_tools::per_element());
  BOOST_TEST(problems(with("labels", {{"a", 1}})) == lines{"metadata.labels.a: 1"}, boost::test_tools::per_element());
  BOOST_TEST(problems(with("annotation", {{"a", "b"}})) == lines{"metadata.annotation: "}, boost::test_tools::per_element());
  auto object = repository(git());
  object["metadata"].erase("namespace");
  BOOST_TEST(decode(object).meta.key.ns == "default");
  object["spce"] = 1;
  BOOST_TEST(problems(object) == lines{"spce: "}, boost::test_tools::per_element());
  object.erase("spce");
  object.erase("spec");
  BOOST_TEST(problems(object) == lines{"spec: "}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_password_is_echoed) {
  for (const char* url : {"https://user:s3/s3cr3t@example.com/a.git", "https://user:s3?s3cr3t@example.com/a.git", "https://user:s3cr3t@example.com/a.git", "https://s3cr3t@example.com/a.git", "http://u:s3cr3t@[::1]:8080/a?x=s3cr3t",
                          "ssh://git:s3cr3t@example.com/a", "https://u:s3@cr3t@example.com/a"}) {
    const auto r = decode(repository(git({{"repo", url}})));
    BOOST_TEST_CONTEXT(url) {
      BOOST_REQUIRE(r.problems.size() == 1U);
      BOOST_TEST(r.problems[0].field == "spec.git.repo");
      const std::string text = describe(r.problems[0]);
      BOOST_TEST(text.find("s3") == std::string::npos);
      BOOST_TEST(text.find("***@") != std::string::npos);
    }
  }
  for (const char* url : {"ssh://git@example.com/a", "git@example.com:a/b.git", "https://example.com/@scope/a", "/srv/git/a.git", "file:///srv/a@b"})
    BOOST_TEST(problems(repository(git({{"repo", url}}))).empty(), url);
}

BOOST_AUTO_TEST_CASE(what_is_no_repository_is_refused) {
  const auto refused = [](const json& object, const char* field) {
    const auto decoded = codec::decode_repository(object.dump());
    BOOST_REQUIRE(!decoded.ok());
    BOOST_TEST((decoded.error().code == ec::invalid_spec));
    BOOST_TEST(decoded.error().field == field);
  };
  refused(json::array(), "");
  auto object = repository(git());
  object["kind"] = "Secret";
  refused(object, "kind");
  object = repository(git());
  object["apiVersion"] = "config.porch.kpt.dev/v1alpha2";
  refused(object, "apiVersion");
  object = repository(git());
  object["metadata"] = "x";
  refused(object, "metadata");
  for (const char* name : {"", "a/b", "a\nb"}) {
    object["metadata"] = {{"name", name}};
    refused(object, "metadata.name");
  }
  BOOST_TEST(!codec::decode_repository("{").ok());
  BOOST_TEST(!codec::decode_repository("").ok());
}

BOOST_AUTO_TEST_CASE(status_round_trip) {
  const auto t = *parse_rfc3339("2026-03-10T10:07:30Z");
  repository_status s;
  s.conditions = {{"Ready", "True", "Ready", "Repository Ready", t, 4}, {"PackagesDegraded", "False", "None", "", std::nullopt, 0}};
  s.last_full_sync = t;
  s.next_full_sync = t + std::chrono::minutes{10};
  s.next_sync_cause = "periodic";
  s.observed_generation = 4;
  s.observed_run_once_at = t;
  s.package_count = 12;
  s.git_commit_hash = std::string(40, 'a');
  s.handled_request = "now";
  s.fence = 9;
  s.deletion_permit = "20-3f9a1c2b7d40";
  const auto text = codec::encode_status(s);
  BOOST_TEST((codec::decode_status(R"({"status":)" + text + "}") == s));
  BOOST_TEST(json::parse(text)["conditions"][0]["lastTransitionTime"] == "2026-03-10T10:07:30Z");
  BOOST_TEST(codec::encode_status({}) == "{}");
  for (const char* odd : {"", "[]", "{}", R"({"status":1})", R"({"status":{"conditions":{},"fence":"x","lastFullSyncTime":7}})"})
    BOOST_TEST((codec::decode_status(odd) == repository_status{}), odd);
  s = {};
  s.conditions = {{"Ready", "False", "Error", "caf\xE9", std::nullopt, 0}};
  BOOST_TEST(json::accept(codec::encode_status(s)));
}

BOOST_AUTO_TEST_CASE(branch_names) {
  for (const char* good : {"main", "release-1.2", "Main", "feat_x", "a/b/c", "caf\xC3\xA9", "a@b", "a.b", "x{y", "1"})
    BOOST_TEST(codec::valid_branch_name(good), good);
  for (const char* bad : {"", "@", "HEAD", "-x", "/x", "x/", "a//b", ".a", "a/.b", "a..b", "a.lock", "a.lock/b", "a b", "a~b", "a^b", "a:b", "a?b", "a*b",
                          "a[b", "a\\b", "a@{b", "a.", "a\tb", "a\x7f"})
    BOOST_TEST(!codec::valid_branch_name(bad), bad);
}

BOOST_AUTO_TEST_CASE(kubernetes_names) {
  BOOST_TEST(codec::rfc1123_subdomain("a.b-c.1"));
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "A", "-a", "a-", "a_b"})
    BOOST_TEST(!codec::rfc1123_subdomain(bad), bad);
  BOOST_TEST(codec::shorten("abc", 3) == "abc");
  BOOST_TEST(codec::shorten("ab\xC3\xA9z", 3) == "ab...");
  BOOST_TEST(codec::shorten("\xFF") == "\xEF\xBF\xBD");
}
