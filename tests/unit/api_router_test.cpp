// links: veranda_adapter_api
#define BOOST_TEST_MODULE api_router
#include "adapters/api/format.hpp"
#include "adapters/api/guard.hpp"
#include "adapters/api/listing.hpp"
#include "adapters/api/router.hpp"
#include "adapters/api/writing.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::api;

namespace {

struct routing {
  const char* method;
  const char* path;
  const char* query;
  endpoint where;
  verb action;
  const char* plural; ///< empty: no kind
  const char* ns;
  const char* name;
};

const std::string config = "/apis/config.porch.kpt.dev/v1alpha1";
const std::string porch = "/apis/porch.kpt.dev/v1alpha1";

} // namespace

BOOST_AUTO_TEST_CASE(request_lines_are_routed) {
  const std::string repos = config + "/namespaces/a/repositories";
  const std::string repo = repos + "/r";
  const std::string status = repo + "/status";
  const std::string all_repos = config + "/repositories";
  const std::string stray = config + "/repositories/r";
  const std::string revisions = porch + "/namespaces/a/packagerevisions";
  const std::string revision = revisions + "/r.p.v1";
  const std::string encoded = revisions + "/r%2Ep.v1";
  const std::string slash = revisions + "/a%2Fb";
  const std::string nul = revisions + "/a%00b";
  const std::string wrong_kind = porch + "/namespaces/a/repositories";
  const std::string deep = repo + "/status/x";
  const std::string other_version = "/apis/porch.kpt.dev/v1/packagerevisions";
  const routing table[] = {
      {"GET", "/livez", "", endpoint::livez, verb::get, "", "", ""},
      {"GET", "/healthz", "", endpoint::livez, verb::get, "", "", ""},
      {"GET", "/readyz", "verbose", endpoint::readyz, verb::get, "", "", ""},
      {"POST", "/readyz", "", endpoint::readyz, verb::not_allowed, "", "", ""},
      {"HEAD", "/metrics", "", endpoint::metrics, verb::get, "", "", ""},
      {"GET", "/explain", "name=a/b", endpoint::explain, verb::get, "", "", ""},
      {"POST", "/explain", "", endpoint::explain, verb::not_allowed, "", "", ""},
      {"GET", "/top", "", endpoint::top, verb::get, "", "", ""},
      {"GET", "/dump", "name=a/b&deep=true", endpoint::dump, verb::get, "", "", ""},
      {"GET", "/api", "timeout=32s", endpoint::api_versions, verb::get, "", "", ""},
      {"GET", "/apis", "", endpoint::api_groups, verb::get, "", "", ""},
      {"GET", "/apis/porch.kpt.dev", "", endpoint::api_group, verb::get, "", "", ""},
      {"GET", "/apis/apps", "", endpoint::unknown, verb::not_allowed, "", "", ""},
      {"GET", porch.c_str(), "", endpoint::api_resources, verb::get, "", "", ""},
      {"GET", other_version.c_str(), "", endpoint::unknown, verb::not_allowed, "", "", ""},
      {"GET", "/version", "", endpoint::version, verb::get, "", "", ""},
      {"GET", "/", "", endpoint::unknown, verb::not_allowed, "", "", ""},
      {"GET", "/nothing", "", endpoint::unknown, verb::not_allowed, "", "", ""},
      {"GET", all_repos.c_str(), "", endpoint::collection, verb::list, "repositories", "", ""},
      {"POST", all_repos.c_str(), "", endpoint::collection, verb::not_allowed, "repositories", "", ""},
      {"GET", repos.c_str(), "limit=5", endpoint::collection, verb::list, "repositories", "a", ""},
      {"GET", repos.c_str(), "watch=true", endpoint::collection, verb::watch, "repositories", "a", ""},
      {"GET", repos.c_str(), "watch=1", endpoint::collection, verb::watch, "repositories", "a", ""},
      {"GET", repos.c_str(), "watch=false", endpoint::collection, verb::list, "repositories", "a", ""},
      {"POST", repos.c_str(), "", endpoint::collection, verb::create, "repositories", "a", ""},
      {"DELETE", repos.c_str(), "", endpoint::collection, verb::not_allowed, "repositories", "a", ""},
      {"GET", repo.c_str(), "", endpoint::object, verb::get, "repositories", "a", "r"},
      {"PUT", repo.c_str(), "", endpoint::object, verb::update, "repositories", "a", "r"},
      {"PATCH", repo.c_str(), "", endpoint::object, verb::patch, "repositories", "a", "r"},
      {"DELETE", repo.c_str(), "", endpoint::object, verb::remove, "repositories", "a", "r"},
      {"POST", repo.c_str(), "", endpoint::object, verb::not_allowed, "repositories", "a", "r"},
      {"GET", status.c_str(), "", endpoint::object_status, verb::get, "repositories", "a", "r"},
      {"PUT", status.c_str(), "", endpoint::object_status, verb::not_allowed, "repositories", "a", "r"},
      {"GET", deep.c_str(), "", endpoint::unknown, verb::not_allowed, "repositories", "a", "r"},
      {"GET", stray.c_str(), "", endpoint::unknown, verb::not_allowed, "repositories", "", ""},
      {"GET", revision.c_str(), "", endpoint::object, verb::get, "packagerevisions", "a", "r.p.v1"},
      {"GET", encoded.c_str(), "", endpoint::object, verb::get, "packagerevisions", "a", "r.p.v1"},
      {"DELETE", revision.c_str(), "", endpoint::object, verb::not_allowed, "packagerevisions", "a", "r.p.v1"},
      {"POST", revisions.c_str(), "", endpoint::collection, verb::not_allowed, "packagerevisions", "a", ""},
      {"GET", wrong_kind.c_str(), "", endpoint::unknown, verb::not_allowed, "", "a", ""},
      {"GET", slash.c_str(), "", endpoint::bad_path, verb::not_allowed, "", "", ""},
      {"GET", nul.c_str(), "", endpoint::bad_path, verb::not_allowed, "", "", ""},
      {"GET", "/livez", "a=%zz", endpoint::bad_path, verb::not_allowed, "", "", ""},
  };
  for (const auto& t : table) {
    BOOST_TEST_CONTEXT(t.method << ' ' << t.path << '?' << t.query) {
      const auto r = route_request(t.method, t.path, t.query);
      BOOST_TEST((r.where == t.where));
      BOOST_TEST((r.action == t.action));
      BOOST_TEST((r.kind == nullptr ? std::string_view{} : r.kind->plural) == t.plural);
      BOOST_TEST(r.ns == t.ns);
      BOOST_TEST(r.name == t.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(query_values_are_decoded) {
  const auto r = route_request("GET", config + "/repositories", "labelSelector=in+%28true%29%2C%21x&labelSelector=second&a");
  BOOST_TEST(r.param("labelSelector") == "in (true),!x");
  BOOST_TEST(r.flag("a"));
  BOOST_TEST(!r.flag("b"));
  BOOST_TEST(r.param("b").empty());
}

BOOST_AUTO_TEST_CASE(label_selectors_select) {
  const attribute_map labels{{"app", "web"}, {"tier", "front"}, {"empty", ""}};
  const std::pair<const char*, bool> table[] = {
      {"", true},
      {"app", true},
      {"!app", false},
      {"none", false},
      {"!none", true},
      {"app=web", true},
      {"app==web", true},
      {"app = web , tier = front", true},
      {"app=web,tier=back", false},
      {"app!=web", false},
      {"none!=web", true},
      {"app in (web, db)", true},
      {"app in (db)", false},
      {"app notin (db)", true},
      {"none notin (db)", true},
      {"app in (web),!none,tier", true},
      {"empty=", true},
      {"app=", false},
      {"empty in (,x)", true},
  };
  for (const auto& [text, expected] : table) {
    const auto s = parse_label_selector(text);
    BOOST_REQUIRE_MESSAGE(s.ok(), text);
    BOOST_CHECK_MESSAGE(s->matches(labels) == expected, text);
  }
  for (const auto* text : {"=", "app in", "app in (", "app in (a", "app in a", "app web", ",", "app,", "a=b c", "a=b=c", "()", "app=w$b"})
    BOOST_CHECK_MESSAGE(!parse_label_selector(text).ok(), text);
}

BOOST_AUTO_TEST_CASE(field_selectors_select) {
  const std::vector<std::string_view> known{"metadata.name", "spec.lifecycle"};
  const attribute_map fields{{"metadata.name", "a,b"}, {"spec.lifecycle", "Draft"}};
  const std::pair<const char*, bool> table[] = {
      {"", true},
      {"spec.lifecycle=Draft", true},
      {"spec.lifecycle==Draft", true},
      {"spec.lifecycle!=Draft", false},
      {"metadata.name=a\\,b", true},
      {"metadata.name=a\\,b,spec.lifecycle=Published", false},
      {"metadata.name=", false},
  };
  for (const auto& [text, expected] : table) {
    const auto s = parse_field_selector(text, known);
    BOOST_REQUIRE_MESSAGE(s.ok(), text);
    BOOST_CHECK_MESSAGE(s->matches(fields) == expected, text);
  }
  for (const auto* text : {"spec.other=1", "metadata.name", "metadata.name=a=b", "metadata.name=\\x"})
    BOOST_CHECK_MESSAGE(!parse_field_selector(text, known).ok(), text);
  BOOST_TEST(parse_field_selector("metadata.name=x", known)->pinned("metadata.name") == "x");
  BOOST_TEST(parse_field_selector("metadata.name!=x", known)->pinned("metadata.name").empty());
}

BOOST_AUTO_TEST_CASE(only_own_hosts_and_origins_are_let_in) {
  const guard local{"127.0.0.1", {"veranda.example"}, "secret"};
  for (const auto* host : {"127.0.0.1:7878", "localhost", "LOCALHOST:1", "[::1]:7878", "127.9.9.9", "veranda.example:7878", "Veranda.Example."})
    BOOST_CHECK_MESSAGE(local.host_allowed(host), host);
  for (const auto* host : {"", "evil.example", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", "[::1", "0.0.0.0"})
    BOOST_CHECK_MESSAGE(!local.host_allowed(host), host);
  const guard any{"0.0.0.0", {}, "secret"};
  BOOST_TEST(any.host_allowed("10.0.0.1:7878"));
  BOOST_TEST(!any.host_allowed("evil.example"));
  BOOST_TEST(local.origin_allowed(""));
  BOOST_TEST(local.origin_allowed("http://localhost:7878"));
  for (const auto* origin : {"null", "http://evil.example", "https://127.0.0.1.evil.example", "file://"})
    BOOST_CHECK_MESSAGE(!local.origin_allowed(origin), origin);
}

BOOST_AUTO_TEST_CASE(only_the_token_authorizes) {
  const guard g{"127.0.0.1", {}, "secret"};
  BOOST_TEST(g.authorized("Bearer secret"));
  BOOST_TEST(g.authorized("bearer secret"));
  for (const auto* header : {"", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Basic secret", "secret", "Bearer  secret"})
    BOOST_CHECK_MESSAGE(!g.authorized(header), header);
  BOOST_TEST(!guard("127.0.0.1", {}, "").authorized("Bearer "));
}

BOOST_AUTO_TEST_CASE(continue_tokens_round_trip_and_forged_ones_are_refused) {
  const auto page = parse_continue_token(make_continue_token(42, {"ns", "r.p.v1"}));
  BOOST_REQUIRE(page.has_value());
  BOOST_TEST(page->position == 42);
  BOOST_TEST(page->after.ns == "ns");
  BOOST_TEST(page->after.name == "r.p.v1");
  for (const auto* token : {"", "z", "zz", "31", "3120782061", "31202d31206e2f61"})
    BOOST_CHECK_MESSAGE(!parse_continue_token(token).has_value(), token);
}

BOOST_AUTO_TEST_CASE(formats_are_chosen_by_accept) {
  BOOST_TEST((choose_format("application/json", "")->body == body_format::json));
  BOOST_TEST((choose_format("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "")->body == body_format::table));
  BOOST_TEST((choose_format("*/*", "Object")->rows == row_object::full));
  BOOST_TEST((choose_format("*/*", "None")->rows == row_object::none));
  BOOST_TEST(!choose_format("*/*", "Everything").ok());
}

BOOST_AUTO_TEST_CASE(a_patch_of_annotations_alone_is_told_from_others) {
  const std::pair<const char*, bool> table[] = {
      {R"({"metadata":{"annotations":{"a":"b"}}})", true},
      {R"({"apiVersion":"x","kind":"y","metadata":{"name":"n","annotations":{"a":null}}})", true},
      {R"({})", true},
      {R"({"spec":{}})", false},
      {R"({"status":{}})", false},
      {R"({"metadata":{"labels":{"a":"b"}}})", false},
      {R"({"metadata":{"finalizers":[]}})", false},
      {R"({"metadata":{"annotations":null}})", false},
      {R"({"metadata":null})", false},
      {R"({"metadata":{"annotations":{"veranda.dev/managed-by":null}}})", false},
      {R"([])", false},
      {R"(nonsense)", false},
  };
  for (const auto& [patch, expected] : table)
    BOOST_CHECK_MESSAGE(touches_only_annotations(patch) == expected, patch);
}
