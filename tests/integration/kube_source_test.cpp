// links: veranda_adapter_kube
#define BOOST_TEST_MODULE kube_source
#include "adapters/kube/kube_source.hpp"
#include "tests/support/fake_api_server.hpp"

#include <boost/test/unit_test.hpp>
#include <random>
#include <thread>

using namespace veranda;
using namespace veranda::kube;
using namespace std::chrono_literals;
using veranda::source::repository_event_type;
using veranda::test::fake_api_server;
using veranda::test::stream_server;

namespace {

class no_credentials final : public credential_source {
public:
  result<credential_reading> read(bool, const std::function<result<void>()>&) override { return credential_reading{}; }
  [[nodiscard]] bool renewable() const override { return false; }
};

kube_source_options quick() {
  kube_source_options out;
  out.policy.backoff = {.initial = 5ms, .max = 100ms};
  out.policy.short_watch = 5ms;
  return out;
}

std::unique_ptr<source::repository_source> open(const fake_api_server& server, kube_source_options options = quick(), client_limits limits = {}) {
  client_config config;
  config.cluster.server = *parse_server_url(server.url());
  return open_kube_source(open_api_client(config, std::make_unique<no_credentials>(), limits), std::move(options));
}

/// What somebody knows who listens to a source as the watcher does; checks that each event makes sense where it comes.
class listener {
public:
  void list(source::repository_source& source) {
    BOOST_REQUIRE(try_list(source));
  }
  bool try_list(source::repository_source& source) {
    auto all = source.list();
    if (!all) return false;
    known_.clear();
    for (const auto& item : all->items) {
      BOOST_REQUIRE(!known_.contains(to_string(item.meta.key)));
      remember(item);
    }
    position = all->resource_version;
    return true;
  }
  void poll(source::repository_source& source) {
    auto events = source.poll(position, 50ms);
    BOOST_REQUIRE_MESSAGE(events.ok(), describe(events.ok() ? failure{} : events.error()));
    hear_all(*events);
  }
  void hear_all(const std::vector<source::repository_event>& events) {
    for (const auto& e : events) hear(e);
  }
  /// Listens until it knows just what is true, for at most a minute.
  void catch_up(source::repository_source& source, const fake_api_server& server) {
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (known_ != server.truth() && std::chrono::steady_clock::now() < until) poll(source);
    BOOST_REQUIRE((known_ == server.truth()));
  }
  [[nodiscard]] const fake_api_server::objects& known() const { return known_; }
  std::string position;
  std::vector<std::string> heard;

private:
  void remember(const repository_object& o) { known_[to_string(o.meta.key)] = {o.meta.uid, std::stol(o.meta.resource_version), o.spec.description}; }
  void hear(const source::repository_event& e) {
    position = e.object.meta.resource_version;
    if (e.type == repository_event_type::bookmark) return;
    const auto key = to_string(e.object.meta.key);
    const auto found = known_.find(key);
    if (e.type == repository_event_type::added) {
      heard.push_back("+" + key);
      BOOST_REQUIRE_MESSAGE(found == known_.end(), "added twice: " + key);
      return remember(e.object);
    }
    BOOST_REQUIRE_MESSAGE(found != known_.end() && found->second.uid == e.object.meta.uid, "changed, but unknown: " + key);
    heard.push_back((e.type == repository_event_type::modified ? "~" : "-") + key);
    if (e.type == repository_event_type::modified) remember(e.object);
    else known_.erase(found);
  }
  fake_api_server::objects known_;
};

std::size_t count(const std::vector<std::string>& requests, const std::string& part) {
  return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [&](const std::string& r) { return r.substr(0, r.find('\r')).find(part) != std::string::npos; }));
}

} // namespace

BOOST_AUTO_TEST_CASE(a_list_in_pages_and_what_happens_after_it) {
  fake_api_server server;
  for (int i = 0; i < 12; ++i) server.put("blue/r" + std::to_string(i), "first");
  auto options = quick();
  options.policy.page_limit = 5;
  options.label_selector = "team=x";
  const auto source = open(server, options);
  BOOST_TEST((source->poll("1", 1ms).error().code == ec::stale));
  listener l;
  l.list(*source);
  BOOST_TEST(l.known().size() == 12U);
  BOOST_TEST(count(server.requests(), "labelSelector=team%3Dx&limit=5") == 3U);
  server.put("blue/r3", "second");
  server.remove("blue/r4");
  server.put("blue/new", "first");
  l.catch_up(*source, server);
  BOOST_TEST((l.heard == std::vector<std::string>{"~blue/r3", "-blue/r4", "+blue/new"}));
  BOOST_TEST(count(server.requests(), "watch=true") == 1U);
}

BOOST_AUTO_TEST_CASE(several_namespaces) {
  fake_api_server server;
  server.put("blue/a", "x");
  server.put("green/a", "x");
  server.put("red/a", "x");
  auto options = quick();
  options.namespaces = {"green", "blue", "green"};
  const auto source = open(server, options);
  listener l;
  l.list(*source);
  BOOST_TEST(l.known().size() == 2U);
  server.remove("red/a");
  server.put("blue/b", "x");
  server.put("green/a", "y");
  l.catch_up(*source, server);
  BOOST_TEST(l.heard.size() == 2U);
  BOOST_TEST(count(server.requests(), "/namespaces/green/repositories?watch") == 1U);
}

BOOST_AUTO_TEST_CASE(whoever_lists_again_is_told_everything) {
  fake_api_server server;
  server.put("blue/a", "x");
  const auto source = open(server);
  listener l;
  l.list(*source);
  server.put("blue/b", "x");
  l.list(*source);
  BOOST_TEST(l.known().size() == 2U);
  server.remove("blue/a");
  l.catch_up(*source, server);
}

BOOST_AUTO_TEST_CASE(a_crd_that_is_not_there_yet) {
  fake_api_server server;
  server.set_fault([](const std::string&) { return stream_server::reply("404 Not Found", R"({"kind":"Status","reason":"NotFound","code":404})"); });
  std::vector<std::string> problems;
  auto options = quick();
  options.on_problem = [&](const std::optional<failure>& p) { problems.push_back(p ? std::string{to_string(p->code)} : "well"); };
  const auto source = open(server, options);
  for (int i = 0; i < 3; ++i) {
    const auto listed = source->list();
    BOOST_REQUIRE(!listed.ok());
    BOOST_TEST((listed.error().code == ec::not_found));
    BOOST_TEST(listed.error().what.find("CRD") != std::string::npos);
  }
  server.set_fault({});
  listener l;
  l.list(*source);
  BOOST_TEST((problems == std::vector<std::string>{"not_found", "well"}));
}

BOOST_AUTO_TEST_CASE(trouble_in_between_is_said_and_heals) {
  fake_api_server server;
  server.put("blue/a", "x");
  std::vector<std::string> problems;
  auto options = quick();
  options.on_problem = [&](const std::optional<failure>& p) { problems.push_back(p ? std::string{to_string(p->code)} : "well"); };
  std::vector<logic::watch_loss> lost;
  options.on_watch_lost = [&](logic::watch_loss how) { lost.push_back(how); };
  const auto source = open(server, options);
  listener l;
  l.list(*source);
  server.set_fault([](const std::string&) { return stream_server::reply("403 Forbidden", R"({"kind":"Status","reason":"Forbidden","code":403,"message":"no list for you"})"); });
  server.cut_watches();
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (problems.empty() && std::chrono::steady_clock::now() < until) l.poll(*source);
  server.put("blue/a", "y");
  for (int i = 0; i < 5; ++i) l.poll(*source);
  server.set_fault({});
  l.catch_up(*source, server);
  while (problems.back() != "well" && std::chrono::steady_clock::now() < until) l.poll(*source);
  BOOST_TEST(problems.front() == "auth_rejected");
  BOOST_TEST(problems.back() == "well");
  BOOST_TEST((l.heard == std::vector<std::string>{"~blue/a"}));
  BOOST_TEST((std::count(lost.begin(), lost.end(), logic::watch_loss::error) > 0));
}

BOOST_AUTO_TEST_CASE(a_server_restored_from_a_backup_is_believed) {
  fake_api_server server;
  server.put("blue/a", "x");
  server.put("blue/b", "x");
  server.back_up();
  const auto source = open(server);
  listener l;
  l.list(*source);
  server.remove("blue/a");
  server.put("blue/b", "y");
  server.put("blue/c", "x");
  for (int i = 0; i < 10; ++i) server.put("blue/c", std::to_string(i));
  l.catch_up(*source, server);
  server.restore(1);
  l.catch_up(*source, server);
  server.put("blue/b", "z");
  l.catch_up(*source, server);
}

BOOST_AUTO_TEST_CASE(nothing_is_told_twice_when_only_the_history_was_lost) {
  fake_api_server server;
  for (int i = 0; i < 20; ++i) server.put("blue/r" + std::to_string(i), "x");
  const auto source = open(server);
  listener l;
  l.list(*source);
  for (int i = 0; i < 4; ++i) {
    server.put("red/x" + std::to_string(i), "x"); // moves the version to both kinds of answers
    l.catch_up(*source, server);
    server.put("blue/r1", std::to_string(i));
    server.cut_watches();
    server.forget();
    l.catch_up(*source, server);
  }
  BOOST_TEST(l.heard.size() == 8U);
}

BOOST_AUTO_TEST_CASE(five_thousand_objects_cost_one_list_and_one_watch) {
  fake_api_server server;
  for (int i = 0; i < 5'000; ++i) server.put("ns" + std::to_string(i % 50) + "/r" + std::to_string(i), std::string(300, 'x'));
  const auto source = open(server);
  listener l;
  const auto begun = std::chrono::steady_clock::now();
  l.list(*source);
  BOOST_TEST_MESSAGE("5000 objects listed in " << std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count() << " ms");
  for (int i = 0; i < 1'000; ++i) server.put("ns1/r" + std::to_string(1 + 50 * (i % 100)), std::to_string(i));
  l.catch_up(*source, server);
  BOOST_TEST(server.requests().size() == 11U); // ten pages, one watch
}

BOOST_AUTO_TEST_CASE(whatever_the_server_does_the_truth_is_known_in_the_end) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      fake_api_server server;
      std::mt19937_64 rng{seed};
      std::mt19937_64 faults{seed + 100};
      const std::vector<std::string> odd = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "\x16\x03\x01 not http at all\r\n\r\n",
        stream_server::reply("200 OK", "<html></html>", {}, "text/html"),
        stream_server::reply("200 OK", "{\"kind\":\"RepositoryList\",\"items\":["),
        stream_server::reply("429 Too Many Requests", "slow down", {}, "text/plain"),
        stream_server::reply("500 Internal Server Error", R"({"kind":"Status","reason":"InternalError","code":500})"),
        stream_server::reply("503 Service Unavailable", ""),
        stream_server::reply("401 Unauthorized", ""),
        stream_server::reply("410 Gone", fake_api_server::gone()),
        stream_server::stream_head() + "5\r\n{\"typ\r\n",
        stream_server::stream_head() + "8\r\nnonsense\r\n1\r\n\n\r\n0\r\n\r\n",
        stream_server::reply("200 OK", R"({"type":"ERROR","object":{"kind":"Status","code":500}})" "\n"),
      };
      server.set_fault([&](const std::string&) -> std::optional<std::string> {
        if (faults() % 4 != 0) return std::nullopt;
        return odd[faults() % odd.size()];
      });
      client_limits limits;
      limits.call_timeout = 5s;
      auto options = quick();
      options.policy.page_limit = 7;
      options.seed = seed;
      const auto source = open(server, options, limits);
      listener l;
      while (!l.try_list(*source)) {}
      for (int i = 0; i < 250; ++i) {
        for (int n = static_cast<int>(rng() % 5); n > 0; --n) {
          const auto key = "ns" + std::to_string(rng() % 3) + "/r" + std::to_string(rng() % 20);
          if (rng() % 3 == 0) server.remove(key);
          else server.put(key, std::to_string(i));
        }
        if (rng() % 15 == 0) server.cut_watches();
        if (rng() % 25 == 0) server.forget();
        if (rng() % 25 == 0) server.back_up();
        if (rng() % 60 == 0) server.restore(2);
        auto events = source->poll(l.position, 5ms);
        BOOST_REQUIRE(events.ok());
        l.hear_all(*events);
      }
      server.set_fault({});
      l.catch_up(*source, server);
    }
  }
}

BOOST_AUTO_TEST_CASE(objects_are_shown_as_they_came_before_they_are_told) {
  fake_api_server server;
  server.put("blue/a", "first");
  std::vector<std::string> shown;
  auto options = quick();
  options.on_object = [&](const api_object& o, bool gone) { shown.push_back((gone ? "-" : "") + o.key.name + " " + (gone || !o.json.empty() ? o.uid : "no text")); };
  const auto source = open(server, options);
  listener l;
  l.list(*source);
  BOOST_TEST(shown == std::vector<std::string>{"a u1"}, boost::test_tools::per_element());
  server.put("blue/a", "second");
  server.put("blue/b", "first");
  server.remove("blue/a");
  l.catch_up(*source, server);
  BOOST_TEST(shown == (std::vector<std::string>{"a u1", "a u1", "b u2", "-a u1"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_interrupt_ends_waiting_now_and_later) {
  fake_api_server server;
  const auto source = open(server);
  listener l;
  l.list(*source);
  std::thread other([&] { source->interrupt(); });
  const auto begun = std::chrono::steady_clock::now();
  BOOST_TEST(source->poll(l.position, 120s).ok());
  BOOST_TEST(source->poll(l.position, 120s).ok());
  BOOST_TEST((std::chrono::steady_clock::now() - begun < 60s));
  BOOST_TEST((source->list().error().code == ec::cancelled));
  other.join();
}
