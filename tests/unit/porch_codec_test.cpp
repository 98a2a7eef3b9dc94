// links: veranda_adapter_codec nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE porch_codec
#include "adapters/codec/porch_codec.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using nlohmann::json;

namespace {

store::cached_revision revision() {
  store::cached_revision r;
  r.repository = {"team", "blueprints"};
  r.resource_version = "42";
  r.created = *parse_rfc3339("2026-01-01T00:00:00Z");
  r.revision.key = {.path = "infra/net", .package = "vpc", .revision = 3, .workspace = "v3"};
  r.revision.name = "blueprints.infra.net.vpc.v3";
  r.revision.uid = "u-1";
  r.revision.lifecycle = lifecycle::published;
  r.revision.published_by = "ann@example.com";
  r.revision.published_at = *parse_rfc3339("2026-02-03T04:05:06Z");
  r.revision.self_lock = {"https://example.com/a.git", "infra/net/vpc", "infra/net/vpc/v3", std::string(40, 'c')};
  return r;
}

json encoded(const store::cached_revision& r) { return json::parse(codec::encode_package_revision(r)); }

} // namespace

BOOST_AUTO_TEST_CASE(a_published_revision) {
  auto r = revision();
  r.revision.latest = true;
  r.deployment = true;
  r.revision.task_json = R"({"type":"init","init":{"description":"d"}})";
  r.revision.kptfile.upstream_lock = git_lock{"https://example.com/up.git", "/", "main", std::string(40, 'd')};
  r.revision.kptfile.readiness_gates = {"ready.one"};
  r.revision.kptfile.conditions = {{"ready.one", "True", "Done", ""}};
  r.revision.kptfile.labels = {{"l", "1"}};
  r.revision.kptfile.annotations = {{"a", "2"}};
  const json expected = json::parse(R"({
    "apiVersion": "porch.kpt.dev/v1alpha1", "kind": "PackageRevision",
    "metadata": {"name": "blueprints.infra.net.vpc.v3", "namespace": "team", "uid": "u-1", "resourceVersion": "42",
                 "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"kpt.dev/latest-revision": "true"}},
    "spec": {"packageName": "infra/net/vpc", "repository": "blueprints", "workspaceName": "v3", "revision": 3, "lifecycle": "Published",
             "tasks": [{"type": "init", "init": {"description": "d"}}], "readinessGates": [{"conditionType": "ready.one"}],
             "packageMetadata": {"labels": {"l": "1"}, "annotations": {"a": "2"}}},
    "status": {"upstreamLock": {"type": "git", "git": {"repo": "https://example.com/up.git", "directory": "/", "ref": "main",
                                                       "commit": "dddddddddddddddddddddddddddddddddddddddd"}},
               "selfLock": {"type": "git", "git": {"repo": "https://example.com/a.git", "directory": "infra/net/vpc", "ref": "infra/net/vpc/v3",
                                                   "commit": "cccccccccccccccccccccccccccccccccccccccc"}},
               "publishedBy": "ann@example.com", "publishTimestamp": "2026-02-03T04:05:06Z", "deployment": true,
               "conditions": [{"type": "ready.one", "status": "True", "reason": "Done"}]}})");
  BOOST_TEST(encoded(r) == expected);
}

BOOST_AUTO_TEST_CASE(publication_belongs_to_what_is_published) {
  for (const auto& [stage, name, published] : {std::tuple{lifecycle::draft, "Draft", false}, {lifecycle::proposed, "Proposed", false},
                                              {lifecycle::published, "Published", true}, {lifecycle::deletion_proposed, "DeletionProposed", true}}) {
    auto r = revision();
    r.revision.lifecycle = stage;
    const auto out = encoded(r);
    BOOST_TEST(out["spec"]["lifecycle"] == name);
    BOOST_TEST(out["status"].contains("publishedBy") == published);
    BOOST_TEST(out["status"].contains("publishTimestamp") == published);
  }
}

BOOST_AUTO_TEST_CASE(what_says_nothing_is_left_out) {
  auto r = revision();
  r.revision.key.revision = 0;
  r.revision.published_at.reset();
  r.revision.published_by.clear();
  const auto out = encoded(r);
  BOOST_TEST(!out["spec"].contains("revision"));
  for (const char* name : {"tasks", "readinessGates", "packageMetadata"})
    BOOST_TEST(!out["spec"].contains(name), name);
  for (const char* name : {"publishedBy", "publishTimestamp", "deployment", "conditions", "upstreamLock"})
    BOOST_TEST(!out["status"].contains(name), name);
  BOOST_TEST(!out["metadata"].contains("labels"));
  r.revision.key.revision = -1;
  BOOST_TEST(encoded(r)["spec"]["revision"] == -1);
}

BOOST_AUTO_TEST_CASE(hostile_text_stays_valid_json) {
  auto r = revision();
  r.revision.published_by = "a\"b\\c\n\x01\xFFz";
  r.revision.task_json = R"({"type":"init"},{)";
  const auto out = encoded(r);
  BOOST_TEST(out["status"]["publishedBy"] == "a\"b\\c\n\x01\xEF\xBF\xBDz");
  BOOST_TEST(!out["spec"].contains("tasks"));
}

BOOST_AUTO_TEST_CASE(resources_name_what_is_no_text) {
  const std::vector<std::pair<package_file, std::string>> files{
      {{"Kptfile", file_kind::regular, {}, 5}, "a: b\n"},       {{"bin/x", file_kind::executable, {}, 3}, std::string{"a\0b", 3}},
      {{"big", file_kind::omitted_too_large, {}, 99999999}, ""}, {{"latin1.txt", file_kind::regular, {}, 4}, "caf\xE9"},
      {{"link", file_kind::symlink, {}, 7}, "../else"},         {{"t\xFF", file_kind::regular, {}, 1}, "x"},
  };
  const auto out = json::parse(codec::encode_package_revision_resources(revision(), files));
  BOOST_TEST(out["kind"] == "PackageRevisionResources");
  BOOST_TEST(out["spec"]["resources"] == (json{{"Kptfile", "a: b\n"}, {"link", "../else"}}));
  BOOST_TEST(out["spec"]["packageName"] == "infra/net/vpc");
  BOOST_TEST(out["spec"]["revision"] == 3);
  BOOST_TEST(out["metadata"]["annotations"]["veranda.dev/binary-resources"] ==
             "bin/x (3), big (99999999), latin1.txt (4), t\xEF\xBF\xBD (1)");
  const auto plain = json::parse(codec::encode_package_revision_resources(revision(), {}));
  BOOST_TEST(!plain["metadata"].contains("annotations"));
  BOOST_TEST(plain["spec"]["resources"] == json::object());
}

BOOST_AUTO_TEST_CASE(packages) {
  BOOST_TEST(codec::package_object_name("r", "a/b/c") == "r.a.b.c");
  BOOST_TEST(codec::package_object_name("r", "c") == "r.c");
  BOOST_TEST(codec::package_object_name("r", "/c/") == "r.c");
  BOOST_TEST(codec::package_object_name("", "c").empty());
  const auto out = json::parse(codec::encode_package({"team", "r"}, "a/b", 7, "9"));
  BOOST_TEST(out["kind"] == "Package");
  BOOST_TEST(out["metadata"]["name"] == "r.a.b");
  BOOST_TEST(out["metadata"]["resourceVersion"] == "9");
  BOOST_TEST(out["spec"] == (json{{"packageName", "a/b"}, {"repository", "r"}}));
  BOOST_TEST(out["status"]["latestRevision"] == 7);
  BOOST_TEST(json::parse(codec::encode_package({"team", "r"}, "a/b", 0, ""))["status"] == json::object());
}
