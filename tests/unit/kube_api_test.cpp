// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_api
#include "adapters/kube/api_answer.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "adapters/kube/repository_events.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::kube;
using namespace std::chrono_literals;

namespace {

const resource_type secrets{"", "v1", "secrets", "Secret"};
const std::string base = "/apis/config.porch.kpt.dev/v1alpha1";

object_decoder decoder(decoder_limits limits = {}) { return {"Repository", "config.porch.kpt.dev/v1alpha1", limits}; }

std::string repository(const std::string& name, const std::string& rest = {}) {
  return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + name +
         R"(","namespace":"blue","uid":"u-)" + name + R"(","resourceVersion":"7","generation":3},"spec":{"type":"git","git":{"repo":"https://h/r"}})" + rest + "}";
}

std::string list_of(const std::string& items, const std::string& metadata = R"({"resourceVersion":"41"})") {
  return R"({"kind":"RepositoryList","apiVersion":"config.porch.kpt.dev/v1alpha1","metadata":)" + metadata + R"(,"items":)" + items + "}";
}

std::string status(int code, const std::string& reason, const std::string& details = "{}", const std::string& message = "m") {
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" + message + R"(","reason":")" + reason + R"(","details":)" + details + R"(,"code":)" +
         std::to_string(code) + "}";
}

api_answer answer(int code, std::string body, std::string type = "application/json") { return {code, std::move(type), std::move(body), {}, {}}; }

const api_request about_x = get_request(repositories(), {"blue", "x"});

} // namespace

BOOST_AUTO_TEST_CASE(paths_and_queries) {
  struct row {
    api_request request;
    std::string method, target;
  };
  const row rows[] = {
    {list_request(repositories(), {}, {"0", "", 500}), "GET", base + "/repositories?limit=500&resourceVersion=0"},
    {list_request(repositories(), {"blue", "a in (b),!c", "metadata.name=x"}, {}), "GET",
     base + "/namespaces/blue/repositories?labelSelector=a%20in%20%28b%29%2C%21c&fieldSelector=metadata.name%3Dx"},
    {list_request(repositories(), {}, {"9", "to/ken=", 500}), "GET", base + "/repositories?limit=500&continue=to%2Fken%3D"}, // never with the version
    {watch_request(repositories(), {"blue", "", ""}, "41", 300s), "GET",
     base + "/namespaces/blue/repositories?watch=true&allowWatchBookmarks=true&resourceVersion=41&timeoutSeconds=300"},
    {watch_request(repositories(), {}, "", 300s), "GET", base + "/repositories?watch=true&allowWatchBookmarks=true&timeoutSeconds=300"},
    {get_request(secrets, {"blue", "key.1"}), "GET", "/api/v1/namespaces/blue/secrets/key.1"},
    {get_request(repositories(), {"..", "a/../b?c#d e\n"}), "GET", base + "/namespaces/%2E%2E/repositories/a%2F..%2Fb%3Fc%23d%20e%0A"},
    {create_request(secrets, "blue", "{}"), "POST", "/api/v1/namespaces/blue/secrets?fieldManager=veranda"},
    {replace_request(secrets, {"blue", "a"}, "{}", {"other", true}), "PUT", "/api/v1/namespaces/blue/secrets/a?fieldManager=other&dryRun=All"},
    {status_patch_request(repositories(), {"blue", "x"}, "", "{}"), "PATCH", base + "/namespaces/blue/repositories/x/status?fieldManager=veranda"},
    {merge_patch_request(repositories(), {"blue", "x"}, "", "{}"), "PATCH", base + "/namespaces/blue/repositories/x?fieldManager=veranda"},
    {delete_request(repositories(), {"blue", "x"}), "DELETE", base + "/namespaces/blue/repositories/x"},
    {get_request({"", "v1", "namespaces", "Namespace"}, {"", "blue"}), "GET", "/api/v1/namespaces/blue"},
  };
  for (const auto& r : rows) {
    BOOST_TEST(to_string(r.request.method) == r.method);
    BOOST_TEST(r.request.target == r.target);
  }
  BOOST_TEST(about_x.object == "repositories.config.porch.kpt.dev blue/x");
  BOOST_TEST(list_request(repositories(), {"blue", "", ""}, {}).object == "repositories.config.porch.kpt.dev in blue");
}

BOOST_AUTO_TEST_CASE(bodies) {
  const auto patch = status_patch_request(repositories(), {"blue", "x"}, "1\"2", R"({"conditions":[]})");
  BOOST_TEST(patch.body == R"({"metadata":{"resourceVersion":"1\"2"},"status":{"conditions":[]}})");
  BOOST_TEST(patch.content_type == "application/merge-patch+json");
  BOOST_TEST(finalizers_patch_request(repositories(), {"blue", "x"}, {"", "12"}, {"a/b"}).body == R"({"metadata":{"resourceVersion":"12","finalizers":["a/b"]}})");
  BOOST_TEST(finalizers_patch_request(repositories(), {"blue", "x"}, {"", "12"}, {}).body == R"({"metadata":{"resourceVersion":"12","finalizers":[]}})");
  BOOST_TEST(delete_request(repositories(), {"blue", "x"}, {"u", ""}).body ==
             R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background","preconditions":{"uid":"u"}})");
  BOOST_TEST(delete_request(repositories(), {"blue", "x"}).body == R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background"})");
}

BOOST_AUTO_TEST_CASE(every_odd_answer_has_its_consequence) {
  struct row {
    api_answer given;
    ec code;
    std::string what; ///< part of the text
  };
  const std::string html = "<!doctype html><html>secret page</html>";
  const row rows[] = {
    {answer(400, status(400, "BadRequest")), ec::invalid_spec, "malformed (HTTP 400): m"},
    {answer(401, status(401, "Unauthorized")), ec::auth_rejected, "credentials"},
    {answer(401, ""), ec::auth_rejected, "credentials"},
    {answer(403, status(403, "Forbidden", "{}", "User system:x cannot list resource")), ec::auth_rejected, "User system:x cannot list"},
    {answer(403, status(403, "Forbidden", R"({"causes":[{"reason":"NamespaceTerminating","field":"metadata.namespace"}]})")), ec::not_found, "being deleted"},
    {answer(404, status(404, "NotFound", R"({"name":"x"})")), ec::not_found, "no such object"},
    {answer(404, status(404, "NotFound")), ec::not_found, "install its CRD"},
    {answer(404, "404 page not found\n", "text/plain"), ec::not_found, "install its CRD, and check that the URL"},
    {answer(405, status(405, "MethodNotAllowed")), ec::unsupported, ""},
    {answer(406, status(406, "NotAcceptable")), ec::unsupported, ""},
    {answer(409, status(409, "Conflict", R"({"name":"x"})")), ec::conflict, "in between"},
    {answer(409, status(409, "AlreadyExists", R"({"name":"x"})")), ec::conflict, "exists already"},
    {answer(409, "plain"), ec::conflict, ""},
    {answer(410, status(410, "Expired")), ec::stale, "too old"},
    {answer(410, status(410, "Gone")), ec::stale, "too old"},
    {answer(410, "gone"), ec::stale, "too old"},
    {answer(413, status(413, "RequestEntityTooLarge")), ec::too_large, ""},
    {answer(415, status(415, "UnsupportedMediaType")), ec::unsupported, ""},
    {answer(422, status(422, "Invalid", R"({"name":"x","causes":[{"reason":"FieldValueInvalid","message":"bad","field":"spec.type"}]})")), ec::invalid_spec, "invalid"},
    {answer(429, "Too many requests, please try again later.\n", "text/plain; charset=utf-8"), ec::throttled, "fewer"},
    {answer(429, status(429, "TooManyRequests", R"({"retryAfterSeconds":7})")), ec::throttled, "fewer"},
    {answer(500, status(500, "InternalError")), ec::unavailable, "HTTP 500"},
    {answer(500, html, "text/html"), ec::unavailable, "HTTP 500"},
    {answer(501, ""), ec::unsupported, ""},
    {answer(502, html, "text/html"), ec::unavailable, ""},
    {answer(503, ""), ec::unavailable, ""},
    {answer(504, status(504, "Timeout")), ec::timed_out, ""},
    {answer(504, status(504, "Timeout", R"({"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1})")), ec::stale, "future"},
    {answer(302, ""), ec::unsupported, "redirect"},
    {answer(418, ""), ec::unavailable, "HTTP 418"},
    {answer(200, html, "text/html"), ec::unsupported, "web page"},
    {answer(200, "  <html>"), ec::unsupported, "web page"},
    {answer(200, ""), ec::unavailable, "nothing"},
    {answer(200, " \n"), ec::unavailable, "nothing"},
    {answer(200, "ok", "text/plain"), ec::unsupported, "not JSON"},
    {answer(204, ""), ec::unavailable, "nothing"},
  };
  for (const auto& r : rows) {
    const auto label = std::to_string(r.given.status) + " " + r.given.body;
    const auto body = body_of(r.given, about_x);
    BOOST_REQUIRE_MESSAGE(!body.ok(), label);
    BOOST_TEST((body.error().code == r.code), label);
    BOOST_TEST(body.error().what.find(r.what) != std::string::npos, label + " -> " + body.error().what);
    BOOST_TEST(body.error().what.find("secret page") == std::string::npos);
    BOOST_TEST(body.error().object == about_x.object);
  }
  BOOST_TEST(*body_of(answer(200, " {}"), about_x) == " {}");
  BOOST_TEST(body_of(answer(422, status(422, "Invalid", R"({"causes":[{"field":"spec.type"}]})")), about_x).error().field == "spec.type");
}

BOOST_AUTO_TEST_CASE(how_long_to_wait) {
  auto busy = answer(429, status(429, "TooManyRequests", R"({"retryAfterSeconds":7})"));
  BOOST_TEST((explain(busy, about_x).retry_after == std::optional<std::chrono::milliseconds>{7s}));
  busy.retry_after = 2s; // the header wins
  BOOST_TEST((explain(busy, about_x).retry_after == std::optional<std::chrono::milliseconds>{2s}));
  busy.retry_after = 1000h;
  BOOST_TEST((explain(busy, about_x).retry_after == std::optional<std::chrono::milliseconds>{1h}));
  BOOST_TEST((explain(answer(429, status(429, "x", R"({"retryAfterSeconds":-1})")), about_x).retry_after == std::nullopt));
  auto forbidden = answer(403, status(403, "Forbidden"));
  forbidden.retry_after = 5s;
  BOOST_TEST((explain(forbidden, about_x).retry_after == std::nullopt));
}

BOOST_AUTO_TEST_CASE(two_kinds_of_conflict) {
  BOOST_TEST(already_exists(answer(409, status(409, "AlreadyExists"))));
  BOOST_TEST(!already_exists(answer(409, status(409, "Conflict"))));
  BOOST_TEST(!already_exists(answer(409, "")));
  BOOST_TEST(!already_exists(answer(201, status(409, "AlreadyExists"))));
}

BOOST_AUTO_TEST_CASE(texts_of_a_status_are_bounded) {
  const auto f = explain(answer(403, status(403, "Forbidden", "{}", std::string(100'000, 'x') + "\\n\\u0000")), about_x);
  BOOST_TEST(f.what.size() < 600U);
  BOOST_TEST(f.what.find('\n') == std::string::npos);
  BOOST_TEST(!parse_status("{\"kind\":\"Status\",\"message\":\"" + std::string(2U << 20U, 'x') + "\"}"));
  for (const auto* odd : {"", "{", "[]", "{}", R"({"kind":"Pod"})", R"({"kind":7})"}) BOOST_TEST(!parse_status(odd), odd);
  BOOST_TEST(parse_status(R"({"kind":"Status","code":"x","details":[],"message":4})")->code == 0);
}

BOOST_AUTO_TEST_CASE(a_page_of_a_list) {
  auto d = decoder();
  const auto page = d.list(list_of("[" + repository("a") + " , " + repository("b") + "]", R"({"resourceVersion":"41","continue":"next","remainingItemCount":3})"));
  BOOST_REQUIRE(page.ok());
  BOOST_TEST(page->resource_version == "41");
  BOOST_TEST(page->continue_token == "next");
  BOOST_REQUIRE_EQUAL(page->items.size(), 2U);
  BOOST_TEST((page->items[1] == api_object{{"blue", "b"}, "u-b", "7", 3, repository("b"), {}}));
  // Members in any order, and what is not there.
  BOOST_TEST(d.list(R"({"items":null,"metadata":{},"kind":"RepositoryList"})")->items.empty());
  BOOST_TEST(d.list(R"({"items":[]})")->resource_version.empty());
}

BOOST_AUTO_TEST_CASE(one_broken_object_never_spoils_the_list) {
  struct row {
    std::string item, name, uid;
    ec code;
  };
  const row rows[] = {
    {"null", "", "", ec::invalid_spec},
    {"7", "", "", ec::invalid_spec},
    {"[]", "", "", ec::invalid_spec},
    {"{}", "", "", ec::invalid_spec},
    {R"({"metadata":[]})", "", "", ec::invalid_spec},
    {R"({"metadata":{"name":7,"uid":"u"}})", "", "u", ec::invalid_spec},
    {R"({"metadata":{"name":"a b","uid":"u"}})", "", "u", ec::invalid_spec},
    {R"({"metadata":{"name":"a","uid":"u"},"spec" 1})", "a", "u", ec::invalid_spec},
    {R"({"metadata":{"name":"a","uid":"u"},"spec":")" + std::string(3000, 'x') + "\"}", "a", "u", ec::too_large},
  };
  auto d = decoder({.max_object_bytes = 2000});
  for (const auto& r : rows) {
    const auto page = d.list(list_of("[" + repository("first") + "," + r.item + "," + repository("last") + "]"));
    BOOST_REQUIRE_MESSAGE(page.ok(), r.item);
    BOOST_REQUIRE_EQUAL(page->items.size(), 3U);
    BOOST_TEST(!page->items[0].problem);
    BOOST_TEST(page->items[1].key.name == r.name);
    BOOST_TEST(page->items[1].uid == r.uid);
    BOOST_REQUIRE_MESSAGE(page->items[1].problem, r.item);
    BOOST_TEST((page->items[1].problem->code == r.code), r.item);
    BOOST_TEST(page->items[2].key.name == "last");
  }
}

BOOST_AUTO_TEST_CASE(invalid_text_costs_only_itself) {
  auto d = decoder();
  const auto page = d.list(list_of("[" + repository("a", ",\"x\":\"\xff\xfe\"") + "," + repository("b") + "]"));
  BOOST_REQUIRE(page.ok());
  BOOST_TEST(page->items[0].json.find("\xef\xbf\xbd") != std::string::npos);
  BOOST_TEST(page->items[1].json == repository("b"));
}

BOOST_AUTO_TEST_CASE(items_without_a_kind_get_the_one_of_their_list) {
  object_decoder d{"Secret", "v1"};
  const auto page = d.list(R"({"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a"}},{ }]})");
  BOOST_REQUIRE(page.ok());
  BOOST_TEST(page->items[0].json == R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}})");
  BOOST_TEST(page->items[1].json == R"({"apiVersion":"v1","kind":"Secret"})");
}

BOOST_AUTO_TEST_CASE(where_only_metadata_is_asked_for_nothing_else_is_kept) {
  const auto type = metadata_of(secrets);
  const auto listed = list_request(type, {"blue", "", "type!=a/b"}, {"0", "", 500});
  BOOST_TEST(listed.target == "/api/v1/namespaces/blue/secrets?fieldSelector=type%21%3Da%2Fb&limit=500&resourceVersion=0");
  BOOST_TEST(listed.accept == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
  BOOST_TEST(watch_request(type, {}, "7", 300s).accept == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
  BOOST_TEST(list_request(secrets, {}, {}).accept.empty());
  BOOST_TEST(get_request(type, {"blue", "a"}).accept.empty());

  object_decoder d{type.kind, type.api_version(), {.identity_only = true}};
  const std::string one = R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","namespace":"blue","uid":"u","resourceVersion":"8","annotations":{"x":"pa55"}}})";
  const auto page = d.list(R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"9"},"items":[)" + one + "]}");
  BOOST_REQUIRE(page.ok());
  BOOST_REQUIRE(page->items.size() == 1U);
  BOOST_TEST((page->items[0] == api_object{{"blue", "a"}, "u", "8", 0, {}, {}}));
  const auto event = d.event(R"({"type":"MODIFIED","object":)" + one + "}");
  BOOST_REQUIRE((event.ok() && event->has_value()));
  BOOST_TEST(((*event)->object == page->items[0]));
  // A server that sends whole objects all the same is refused.
  BOOST_TEST((d.list(R"({"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]})").error().code == ec::unsupported));
  BOOST_TEST(!d.event(R"({"type":"ADDED","object":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a","namespace":"blue"}}})")->has_value());
}

BOOST_AUTO_TEST_CASE(what_is_no_list) {
  struct row {
    std::string body;
    ec code;
  };
  const auto whole = list_of("[" + repository("a") + "]");
  const row rows[] = {
    {"", ec::unavailable},
    {"{", ec::unavailable},
    {whole.substr(0, whole.size() / 2), ec::unavailable},
    {whole.substr(0, whole.size() - 1), ec::unavailable},
    {whole + "x", ec::unavailable},
    {whole + whole, ec::unavailable},
    {"<html>", ec::unavailable},
    {"[]", ec::unavailable},
    {"{}", ec::unsupported},
    {R"({"kind":"Table","items":[]})", ec::unsupported},
    {R"({"kind":"PodList","items":[]})", ec::unsupported},
    {status(410, "Expired"), ec::stale},
    {status(500, "InternalError"), ec::unavailable},
    {std::string(5000, '['), ec::unavailable},
  };
  auto d = decoder();
  for (const auto& r : rows) {
    const auto page = d.list(r.body);
    BOOST_REQUIRE_MESSAGE(!page.ok(), r.body);
    BOOST_TEST((page.error().code == r.code), r.body);
  }
  BOOST_TEST(d.list(whole).ok()); // the decoder is none the worse
}

BOOST_AUTO_TEST_CASE(events_of_a_watch) {
  auto d = decoder();
  const auto event = [&](const std::string& type, const std::string& object) { return d.event(R"({"type":")" + type + R"(","object":)" + object + "}"); };
  const auto added = event("ADDED", repository("a"));
  BOOST_REQUIRE(added.ok() && *added);
  BOOST_TEST(((**added) == api_event{api_event_type::added, {{"blue", "a"}, "u-a", "7", 3, repository("a"), {}}, {}}));
  BOOST_TEST(((**event("MODIFIED", repository("a"))).type == api_event_type::modified));
  BOOST_TEST(((**event("DELETED", repository("a"))).type == api_event_type::deleted));
  BOOST_TEST(((**d.event(R"( {"object":)" + repository("a") + R"(,"type":"ADDED"} )")).object.key.name == "a"));
  const auto mark = event("BOOKMARK", R"({"kind":"Repository","apiVersion":"x","metadata":{"resourceVersion":"99","creationTimestamp":null}})");
  BOOST_TEST(((**mark) == api_event{api_event_type::bookmark, {{}, {}, "99", 0, {}, {}}, {}}));
  // To be ignored.
  BOOST_TEST(!*event("PROGRESS", repository("a")));
  BOOST_TEST(!*event("ADDED", R"({"kind":"Pod","metadata":{"name":"a"}})"));
  // An object nobody can read is still an event of that object.
  const auto odd = event("MODIFIED", R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":"a","namespace":"blue","uid":"u","resourceVersion":"8"},"spec":7})");
  BOOST_REQUIRE(odd.ok() && *odd);
  BOOST_TEST(to_repository((**odd).object).problems.front().field == "spec");
  BOOST_TEST((**event("ADDED", "[]")).object.problem.has_value());
}

BOOST_AUTO_TEST_CASE(errors_within_a_watch) {
  auto d = decoder();
  struct row {
    std::string object;
    ec code;
  };
  const row rows[] = {
    {status(410, "Expired", "{}", "too old resource version: 1 (2)"), ec::stale}, {status(410, "Gone"), ec::stale},
    {status(429, "TooManyRequests", R"({"retryAfterSeconds":1})"), ec::throttled}, {status(500, "InternalError"), ec::unavailable},
    {status(403, "Forbidden"), ec::auth_rejected},                                 {"{}", ec::unavailable},
  };
  for (const auto& r : rows) {
    const auto event = d.event(R"({"type":"ERROR","object":)" + r.object + "}");
    BOOST_REQUIRE(event.ok() && *event);
    BOOST_TEST(((**event).type == api_event_type::error));
    BOOST_TEST(((**event).why->code == r.code), r.object);
  }
  for (const auto* line : {"", "x", "{", "{}", "[]", "7", R"({"type":"ADDED"})", R"({"object":{}})", R"({"type":"ADDED","object":{"a":1})", R"({"type":7,"object":{}})",
                           R"({"type":"BOOKMARK","object":{}}{)"}) {
    const auto event = d.event(line);
    BOOST_REQUIRE_MESSAGE(!event.ok(), line);
    BOOST_TEST((event.error().code == ec::unavailable), line);
  }
}

BOOST_AUTO_TEST_CASE(repositories_from_objects) {
  auto d = decoder();
  const auto good = to_repository(*d.object(repository("a", R"(,"status":{"conditions":[{"type":"Ready","status":"True"}]})")));
  BOOST_TEST(good.problems.empty());
  BOOST_TEST((good.meta.key == object_key{"blue", "a"}));
  BOOST_TEST(good.meta.resource_version == "7");
  BOOST_TEST(good.meta.generation == 3);
  BOOST_TEST(good.spec.git->repo == "https://h/r");
  BOOST_TEST(good.status.conditions.front().type == "Ready");
  const auto wrong = to_repository(*d.object(R"({"apiVersion":"config.porch.kpt.dev/v9","kind":"Repository","metadata":{"name":"a","namespace":"blue","uid":"u","resourceVersion":"8"}})"));
  BOOST_TEST(wrong.problems.front().field == "apiVersion");
  BOOST_TEST(wrong.meta.uid == "u");
  const api_object huge{{"blue", "a"}, "u", "8", 4, {}, failure{ec::too_large, "too large", {}, {}, {}}};
  BOOST_TEST(to_repository(huge).problems.front().rule == "too large");
  BOOST_TEST(to_repository(huge).meta.generation == 4);
  BOOST_TEST((d.object("{}").error().code == ec::unsupported));
  BOOST_TEST((d.object(R"({"kind":"Pod","metadata":{"name":"a"}})").error().code == ec::unsupported));
  BOOST_TEST((d.object("{").error().code == ec::unavailable));
}

BOOST_AUTO_TEST_CASE(what_is_forbidden_names_the_right) {
  const failure why{ec::auth_rejected, "no", "x", {}, {}};
  BOOST_TEST(with_right(why, 403, api_method::patch, "repositories.config.porch.kpt.dev", "blue").what == "no; grant patch on repositories.config.porch.kpt.dev in namespace blue");
  BOOST_TEST(with_right(why, 403, api_method::remove, "leases", "").what == "no; grant delete on leases");
  BOOST_TEST(with_right(why, 403, api_method::post, "events", "blue").what == "no; grant create on events in namespace blue");
  BOOST_TEST(with_right(why, 401, api_method::get, "events", "blue").what == "no"); // no role gives a valid token
  BOOST_TEST(with_right({ec::not_found, "its namespace is being deleted", {}, {}, {}}, 403, api_method::post, "events", "blue").what == "its namespace is being deleted");
}
