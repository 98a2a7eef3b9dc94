// links: veranda_adapter_api veranda_adapter_store Boost::system nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE api_cache
#include "adapters/api/api_server.hpp"
#include "tests/support/http_probe.hpp"
#include "tests/support/store_fixture.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using nlohmann::json;
using test::http_probe;

namespace {

const std::string group = "/apis/porch.kpt.dev/v1alpha1/namespaces/default/";
constexpr std::int64_t feed_kept = 20;

/// The API over a real package cache that keeps a short history.
struct served_cache {
  test::scratch_directory scratch;
  std::unique_ptr<store::package_cache> cache =
      test::value(store::open_package_cache(scratch / "packages.db", [] { return std::chrono::system_clock::now(); }, feed_kept));
  store::repository_claim claim = test::value(cache->claim({"default", "repo"}, "uid-1", 1));
  std::unique_ptr<api::api_server> server;

  served_cache() {
    api::api_settings settings;
    settings.port = 0;
    settings.token = "secret";
    api::api_dependencies d;
    d.open_cache = [file = scratch / "packages.db"]() -> std::unique_ptr<store::package_cache_reader> {
      auto reader = store::open_package_cache_reader(file);
      return reader ? std::move(*reader) : nullptr;
    };
    server = test::value(api::start_api_server(settings, std::move(d)));
  }

  http_probe connect() const { return http_probe{server->port()}; }
  json get(const std::string& path) const { return json::parse(connect().ask("GET", group + path).body()); }
  void apply(const package_delta& d) {
    test::value(cache->apply_delta(claim, d, {}));
    server->notify_changed();
  }
  /// Packages `p<first>` to `p<last>`, each with revision v1.
  void add(int first, int last) {
    package_delta d;
    for (int i = first; i <= last; ++i) {
      test::value(cache->put_contents(test::files_of(static_cast<std::uint64_t>(i))));
      d.added.push_back(test::revision_of("repo", "p" + std::to_string(i), 1, static_cast<std::uint64_t>(i)));
    }
    apply(d);
  }
};

std::string version_of(const json& object) { return object.at("metadata").at("resourceVersion"); }
std::string name_of(const json& object) { return object.at("metadata").at("name"); }

/// The items by name.
std::map<std::string, json> by_name(const json& list) {
  std::map<std::string, json> out;
  for (const auto& item : list.at("items"))
    out.emplace(name_of(item), item);
  return out;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(list_get_and_watch_tell_the_same_of_one_version, served_cache) {
  add(1, 3);
  const auto before = get("packagerevisions");
  for (const auto& [name, item] : by_name(before)) {
    BOOST_TEST((get("packagerevisions/" + name) == item));
    BOOST_TEST(version_of(get("packagerevisionresources/" + name)) == version_of(item));
    BOOST_TEST(std::stoll(version_of(item)) <= std::stoll(version_of(before)));
  }
  const std::vector<std::string> kinds{"packagerevisions", "packagerevisionresources", "packages"};
  std::vector<std::unique_ptr<http_probe>> watches;
  for (const auto& kind : kinds) {
    watches.push_back(std::make_unique<http_probe>(server->port()));
    watches.back()->send("GET", group + kind + "?watch=true&resourceVersion=" + version_of(before));
    BOOST_TEST(watches.back()->open_stream() == 200U);
  }
  test::value(cache->put_contents(test::files_of(4)));
  apply(test::delta({test::revision_of("repo", "p4", 1, 4)}, {test::revision_of("repo", "p1", 1, 4)}, {"repo.apps.p2.v1"}));
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    const auto after = get(kinds[k]);
    const auto listed = by_name(after);
    std::map<std::string, json> events;
    for (int i = 0; i < 3; ++i) {
      auto event = json::parse(watches[k]->line());
      const std::string type = event["type"];
      events.emplace(type, std::move(event["object"]));
    }
    for (const auto* type : {"ADDED", "MODIFIED"}) {
      const auto& object = events.at(type);
      BOOST_TEST((listed.at(name_of(object)) == object));
      BOOST_TEST((get(kinds[k] + "/" + name_of(object)) == object));
    }
    BOOST_TEST(name_of(events.at("DELETED")).starts_with("repo.apps.p2"));
    BOOST_TEST(!listed.contains(name_of(events.at("DELETED"))));
    BOOST_TEST(std::stoll(version_of(events.at("DELETED"))) <= std::stoll(version_of(after)));
    BOOST_TEST(listed.size() == 3U);
  }
}

BOOST_FIXTURE_TEST_CASE(a_position_that_the_history_has_lost_is_gone, served_cache) {
  add(1, 2);
  const auto first = get("packagerevisions?limit=1");
  const auto position = version_of(first);
  const std::string token = first["metadata"]["continue"];
  BOOST_TEST(name_of(get("packagerevisions?limit=1&continue=" + token)["items"][0]) == "repo.apps.p2.v1");
  add(3, 3 + static_cast<int>(feed_kept) * 2);
  for (const std::string kind : {"packagerevisions", "packagerevisionresources", "packages"}) {
    BOOST_TEST(connect().ask("GET", group + kind + "?limit=1&continue=" + token).result_int() == 410U);
    auto c = connect();
    c.send("GET", group + kind + "?watch=true&resourceVersion=" + position);
    BOOST_TEST(c.open_stream() == 200U);
    BOOST_TEST(json::parse(c.line())["object"]["code"] == 410);
    BOOST_TEST(c.line().empty());
    auto fresh = connect(); // the way back: list anew, watch from there
    fresh.send("GET", group + kind + "?watch=true&resourceVersion=" + version_of(get(kind)) + "&timeoutSeconds=1&allowWatchBookmarks=true");
    BOOST_TEST(fresh.open_stream() == 200U);
    BOOST_TEST(json::parse(fresh.line())["type"] == "BOOKMARK");
  }
}

BOOST_FIXTURE_TEST_CASE(a_watch_behind_trimmed_history_misses_nothing_it_was_promised, served_cache) {
  add(1, 1);
  const auto position = version_of(get("packagerevisions"));
  auto c = connect();
  c.send("GET", group + "packagerevisions?watch=true&resourceVersion=" + position);
  BOOST_TEST(c.open_stream() == 200U);
  for (int n = 2; n < 60; ++n) { // three times the history, read as it comes
    add(n, n);
    BOOST_REQUIRE(name_of(json::parse(c.line())["object"]) == "repo.apps.p" + std::to_string(n) + ".v1");
  }
}

BOOST_FIXTURE_TEST_CASE(resources_hold_the_files_and_name_what_is_no_text, served_cache) {
  add(7, 7);
  const auto object = get("packagerevisionresources/repo.apps.p7.v1");
  BOOST_TEST(object["spec"]["resources"]["Kptfile"] == "content 7");
  BOOST_TEST(!object["spec"]["resources"].contains("big.bin"));
  BOOST_TEST(object["metadata"]["annotations"]["veranda.dev/binary-resources"].get<std::string>().find("big.bin") != std::string::npos);
  BOOST_TEST(get("packages/repo.apps.p7")["spec"]["packageName"] == "apps/p7");
  BOOST_TEST(get("packages/repo.apps.p8")["reason"] == "NotFound");
}

BOOST_FIXTURE_TEST_CASE(a_cache_that_was_moved_aside_is_served_no_more, served_cache) {
  add(1, 3);
  BOOST_TEST(get("packagerevisions")["items"].size() == 3U); // its reader is kept for the next request
  cache.reset();
  const auto file = scratch / "packages.db";
  test::value(store::move_aside(file, std::chrono::system_clock::now()));
  cache = test::value(store::open_package_cache(file, [] { return std::chrono::system_clock::now(); }, feed_kept));
  BOOST_TEST(get("packagerevisions")["items"].empty());
  claim = test::value(cache->claim({"default", "repo"}, "uid-1", 2));
  add(7, 7);
  BOOST_TEST(name_of(get("packagerevisions")["items"][0]) == "repo.apps.p7.v1");
}
