// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_reader
#include "adapters/kube/object_reader.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::kube;
using namespace veranda::test;

namespace {

using names = std::vector<std::string>;

const std::string resource = repositories().name();

std::string object(const std::string& ns, const std::string& name) {
  return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + name + R"(","namespace":")" + ns +
         R"(","uid":"u","resourceVersion":"7","generation":2}})";
}

std::string list(const std::string& items, const std::string& next = {}, const std::string& version = "9") {
  return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"RepositoryList","metadata":{"resourceVersion":")" + version + R"(","continue":")" + next + R"("},"items":[)" +
         items + "]}";
}

struct reading {
  explicit reading(names namespaces = {}, std::string selector = {}) {
    auto owned = std::make_unique<fake_api_client>();
    client = owned.get();
    reader = open_object_reader(std::move(owned), {repositories(), std::move(namespaces), std::move(selector)});
  }
  fake_api_client* client = nullptr;
  std::unique_ptr<store::object_store_reader> reader;
};

names keys(const store::object_list& all) {
  names out;
  for (const auto& o : all.items) out.push_back(to_string(o.key));
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_list_goes_in_pages_and_is_ordered) {
  reading r;
  r.client->answers = [](const api_request& asked) {
    return fake_api_client::answer(200, asked.target.find("continue=more") == std::string::npos ? list(object("b", "x") + "," + object("a", "z"), "more") : list(object("a", "y")));
  };
  const auto all = r.reader->list(resource, {});
  BOOST_REQUIRE(all);
  BOOST_TEST(keys(*all) == (names{"a/y", "a/z", "b/x"}), boost::test_tools::per_element());
  BOOST_TEST(all->resource_version == 9);
  BOOST_TEST(all->items.front().resource_version == 7);
  BOOST_TEST(all->items.front().generation == 2);
  BOOST_TEST(all->items.front().json == object("a", "y"));
}

BOOST_AUTO_TEST_CASE(a_list_without_end_ends) {
  reading r;
  r.client->answers = [](const api_request&) { return fake_api_client::answer(200, list({}, "more")); };
  const auto all = r.reader->list(resource, {});
  BOOST_REQUIRE(!all);
  BOOST_TEST((all.error().code == ec::too_large));
  BOOST_TEST(r.client->asked.size() == 10'000U);
}

BOOST_AUTO_TEST_CASE(what_is_followed_is_what_is_read) {
  reading r({"blue", "red"}, "tier=edge");
  r.client->answers = [](const api_request&) { return fake_api_client::answer(200, list({})); };
  BOOST_REQUIRE(r.reader->list(resource, {}));
  BOOST_REQUIRE(r.client->asked.size() == 2U);
  BOOST_TEST(r.client->asked[0].find("/namespaces/blue/repositories?") != std::string::npos);
  BOOST_TEST(r.client->asked[1].find("/namespaces/red/repositories?") != std::string::npos);
  for (const auto& one : r.client->asked) BOOST_TEST(one.find("labelSelector=tier%3Dedge") != std::string::npos, one);
}

BOOST_AUTO_TEST_CASE(one_object) {
  reading r;
  r.client->answers = [](const api_request& asked) {
    return asked.target.ends_with("/there") ? fake_api_client::answer(200, object("a", "there")) : fake_api_client::refusal(404, "NotFound", "x");
  };
  const auto there = r.reader->get(resource, {"a", "there"});
  BOOST_REQUIRE((there && there->has_value()));
  BOOST_TEST((*there)->json == object("a", "there"));
  const auto missing = r.reader->get(resource, {"a", "x"});
  BOOST_REQUIRE(missing);
  BOOST_TEST(!missing->has_value());
}

BOOST_AUTO_TEST_CASE(failures_keep_their_class) {
  reading r;
  r.client->answers = [](const api_request&) { return fake_api_client::refusal(403, "Forbidden"); };
  BOOST_TEST((r.reader->list(resource, {}).error().code == ec::auth_rejected));
  BOOST_TEST((r.reader->get(resource, {"a", "b"}).error().code == ec::auth_rejected));
  r.client->answers = [](const api_request&) { return result<api_answer>{failure{ec::unreachable, "refused", {}, {}, {}}}; };
  BOOST_TEST((r.reader->list(resource, {}).error().code == ec::unreachable));
  BOOST_TEST((r.reader->list("secrets", {}).error().code == ec::unsupported));
  BOOST_TEST((r.reader->events_after(resource, 0, 1).error().code == ec::unsupported));
  BOOST_TEST((r.reader->wait_beyond(0, std::chrono::milliseconds{0}).error().code == ec::unsupported));
}

BOOST_AUTO_TEST_CASE(an_interrupt_ends_a_list) {
  reading r;
  r.reader->interrupt();
  r.client->answers = [](const api_request&) { return fake_api_client::answer(200, list({})); };
  BOOST_TEST((r.reader->list(resource, {}).error().code == ec::cancelled));
}
