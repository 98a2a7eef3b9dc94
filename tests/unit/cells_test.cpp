// links: veranda_common nlohmann_json::nlohmann_json
#define BOOST_TEST_MODULE cells
#include <boost/test/unit_test.hpp>

#include "actors/common/cells.hpp"
#include "actors/common/dump.hpp"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <ctime>
#include <limits>
#include <thread>

using namespace std::chrono_literals;
using namespace veranda;

namespace {

wall_time at(std::string_view text) { return parse_rfc3339(text).value(); }

std::vector<std::string> keys(const std::vector<cell_view>& views) {
  std::vector<std::string> out;
  for (const auto& v : views)
    out.push_back(v.kind + ' ' + v.key);
  return out;
}

using list = std::vector<std::string>;
using counts = std::vector<std::pair<std::string, std::uint64_t>>;

const kind_totals& of_kind(const std::vector<kind_totals>& totals, std::string_view kind) {
  for (const auto& t : totals)
    if (t.kind == kind)
      return t;
  throw std::runtime_error("no such kind");
}

} // namespace

BOOST_AUTO_TEST_CASE(a_snapshot_is_sorted_by_kind_and_key_and_filtered_by_name) {
  cell_registry registry;
  const auto w = registry.add("watcher");
  const auto b = registry.add("repository", "team-b/blueprints");
  const auto a = registry.add("repository", "team-a/blueprints");
  const auto c = registry.add("repository", "team-a/my-blueprints");
  BOOST_TEST(keys(registry.snapshot()) ==
             (list{"repository team-a/blueprints", "repository team-a/my-blueprints", "repository team-b/blueprints", "watcher "}));
  BOOST_TEST(keys(registry.snapshot("blueprints")) == (list{"repository team-a/blueprints", "repository team-b/blueprints"}));
  BOOST_TEST(keys(registry.snapshot("team-b/blueprints")) == list{"repository team-b/blueprints"});
  BOOST_TEST(registry.snapshot("prints").empty());
}

BOOST_AUTO_TEST_CASE(a_cell_leaves_with_its_last_owner_and_its_counts_stay) {
  cell_registry registry;
  auto first = registry.add("repository", "d/a");
  const auto second = registry.add("repository", "d/b");
  auto third = registry.add("worker");
  { const handling h{*first, "sync_now", 3}; }
  { const handling h{*second, "sync_now", 1}; }
  BOOST_TEST(registry.size() == 3U);
  first.reset();
  BOOST_TEST(keys(registry.snapshot()) == (list{"repository d/b", "worker "}));
  const auto repositories = of_kind(registry.totals(), "repository");
  BOOST_TEST(repositories.actors == 1U);
  BOOST_TEST(repositories.mailbox_max == 1U);
  BOOST_TEST((repositories.messages == counts{{"sync_now", 2}}));
  third.reset();
  BOOST_TEST(of_kind(registry.totals(), "worker").actors == 0U);
}

BOOST_AUTO_TEST_CASE(a_cell_may_outlive_the_registry) {
  auto registry = std::make_unique<cell_registry>();
  const auto c = registry->add("api");
  registry.reset();
  c->set_state("draining");
  BOOST_TEST(c->view({}).state == "draining");
}

BOOST_AUTO_TEST_CASE(a_handler_is_shown_while_it_runs_and_counted_after) {
  cell_registry registry;
  const auto c = registry.add("remote", "d/a");
  {
    const handling h{*c, "list_refs", 7};
    const auto busy = registry.snapshot().front();
    BOOST_TEST(busy.handler == "list_refs");
    BOOST_TEST(busy.mailbox_depth == 7U);
    BOOST_TEST(busy.messages.empty());
    {
      const handling inner{*c, "refs_listed", 2};
      BOOST_TEST(registry.snapshot().front().handler == "refs_listed");
    }
    BOOST_TEST(registry.snapshot().front().handler == "list_refs");
  }
  const auto idle = registry.snapshot().front();
  BOOST_TEST(idle.handler == "");
  BOOST_TEST(idle.mailbox_depth == 2U);
  BOOST_TEST(idle.mailbox_max == 7U);
  BOOST_TEST((idle.messages == counts{{"list_refs", 1}, {"refs_listed", 1}}));
  BOOST_TEST(idle.handler_total.count() >= idle.handler_max.count());
  BOOST_TEST(idle.handler_max.count() > 0);
}

BOOST_AUTO_TEST_CASE(a_handler_that_runs_too_long_is_stuck) {
  cell_registry registry{5s};
  const auto c = registry.add("remote");
  const auto patient = registry.add("worker");
  patient->set_stuck_after(10min);
  const auto now = std::chrono::steady_clock::now();
  BOOST_TEST(!registry.snapshot({}, now + 1h).front().stuck); // idle for long is not stuck
  const handling a{*c, "list_refs", 0};
  const handling b{*patient, "run_job", 0};
  const auto stuck_at = [&](std::chrono::nanoseconds after) {
    std::vector<bool> stuck;
    for (const auto& v : registry.snapshot({}, now + after))
      stuck.push_back(v.stuck);
    return stuck;
  };
  BOOST_TEST((stuck_at(4s) == std::vector{false, false}));
  BOOST_TEST((stuck_at(6s) == std::vector{true, false}));
  BOOST_TEST((stuck_at(11min) == std::vector{true, true}));
  BOOST_TEST(of_kind(registry.totals(now + 6s), "remote").stuck == 1U);
}

BOOST_AUTO_TEST_CASE(timers_and_details_are_set_moved_and_removed) {
  cell_registry registry;
  const auto c = registry.add("repository", "d/a");
  c->arm_timer("retry", at("2026-03-10T10:00:00Z"));
  c->arm_timer("next", at("2026-03-10T11:00:00Z"));
  c->arm_timer("retry", at("2026-03-10T12:00:00Z"));
  const std::string other_address = "next"; // the same name from elsewhere
  c->disarm_timer(other_address.c_str());
  c->set_detail("phase", "listing");
  c->set_detail("sync_id", "s-1");
  c->set_detail("phase", "applying");
  c->remove_detail("sync_id");
  c->set_in_flight(2);
  c->set_restarts(4);
  const auto v = registry.snapshot().front();
  BOOST_REQUIRE(v.timers.size() == 1U);
  BOOST_TEST((v.timers.front() == cell_timer{"retry", at("2026-03-10T12:00:00Z")}));
  BOOST_TEST((v.details == std::vector<std::pair<std::string, std::string>>{{"phase", "applying"}}));
  BOOST_TEST(v.in_flight == 2U);
  BOOST_TEST(v.restarts == 4U);
}

BOOST_AUTO_TEST_CASE(texts_are_cut_between_characters) {
  cell_registry registry;
  const auto c = registry.add("repository");
  c->set_last_error(std::string(511, 'x') + "\u00e4 and more");
  BOOST_TEST(registry.snapshot().front().last_error == std::string(511, 'x'));
  c->set_last_error(std::string(512, 'x'));
  BOOST_TEST(registry.snapshot().front().last_error == std::string(512, 'x'));
  c->set_state(std::string(9000, '\x80'));
  BOOST_TEST(registry.snapshot().front().state.size() <= 512U);
}

BOOST_AUTO_TEST_CASE(fifty_thousand_cells_are_small) { BOOST_TEST(sizeof(cell) <= 512U); }

// Actors that write, come and go while others read: nothing torn, and no count ever falls.
BOOST_AUTO_TEST_CASE(readers_see_whole_cells_while_actors_come_and_go) {
  cell_registry registry;
  std::atomic<bool> stop{false};
  std::vector<std::thread> actors;
  for (int i = 0; i < 3; ++i)
    actors.emplace_back([&registry, &stop, i] {
      while (!stop) {
        const auto c = registry.add("repository", "d/" + std::to_string(i));
        for (int n = 0; n < 20; ++n) {
          const handling h{*c, "sync_now", static_cast<std::size_t>(n)};
          const std::string text(64, static_cast<char>('a' + n));
          c->set_state(text);
        }
      }
    });
  std::uint64_t seen = 0;
  bool whole = true, rising = true;
  for (int i = 0; i < 2000 || seen == 0; ++i) {
    for (const auto& v : registry.snapshot())
      whole = whole && (v.state.empty() || v.state == std::string(64, v.state.front()));
    for (const auto& t : registry.totals())
      for (const auto& [type, count] : t.messages) {
        rising = rising && count >= seen;
        seen = count;
      }
  }
  stop = true;
  for (auto& t : actors)
    t.join();
  BOOST_TEST(whole);
  BOOST_TEST(rising);
  BOOST_TEST(registry.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_dump_is_json_with_everything_in_it) {
  cell_registry registry;
  const auto c = registry.add("repository", "team-a/blueprints");
  const auto w = registry.add("watcher");
  { const handling h{*c, "sync_now", 5}; }
  c->set_state("syncing");
  c->arm_timer("next", at("2026-03-10T11:00:00Z"));
  c->set_detail("url", "https://git.example/\"quoted\"\n");
  c->set_last_error("not \xff UTF-8");
  c->set_in_flight(1);
  const handling busy{*c, "list_refs", 2};

  const auto dump = nlohmann::json::parse(dump_json(registry, at("2026-03-10T10:07:30Z")));
  BOOST_TEST(dump.at("kind") == "ActorDump");
  BOOST_TEST(dump.at("time") == "2026-03-10T10:07:30Z");
  BOOST_REQUIRE(dump.at("actors").size() == 2U);
  const auto& a = dump.at("actors").at(0);
  BOOST_TEST(a.at("kind") == "repository");
  BOOST_TEST(a.at("key") == "team-a/blueprints");
  BOOST_TEST(a.at("state") == "syncing");
  BOOST_TEST(a.at("handler").at("name") == "list_refs");
  BOOST_TEST(a.at("handler").at("seconds").get<double>() >= 0);
  BOOST_TEST(a.at("stuck") == false);
  BOOST_TEST(a.at("mailbox") == (nlohmann::json{{"depth", 2}, {"max", 5}}));
  BOOST_TEST(a.at("messages") == (nlohmann::json{{"sync_now", 1}}));
  BOOST_TEST(a.at("handlerSeconds").at("total").get<double>() > 0);
  BOOST_TEST(a.at("timers") == (nlohmann::json::array({{{"name", "next"}, {"due", "2026-03-10T11:00:00Z"}}})));
  BOOST_TEST(a.at("inFlight") == 1);
  BOOST_TEST(a.at("restarts") == 0);
  BOOST_TEST(a.at("lastError") == "not \xef\xbf\xbd UTF-8");
  BOOST_TEST(a.at("details").at("url") == "https://git.example/\"quoted\"\n");
  const auto& idle = dump.at("actors").at(1);
  BOOST_TEST(!idle.contains("handler"));
  BOOST_TEST(!idle.contains("key"));
  BOOST_TEST(idle.at("messages") == nlohmann::json::object());
  BOOST_TEST(nlohmann::json::parse(dump_json(registry, {}, "blueprints")).at("actors").size() == 1U);
  BOOST_TEST(nlohmann::json::parse(dump_json(registry, {}, "nobody")).at("actors").empty());
}

BOOST_AUTO_TEST_CASE(ten_thousand_actors_are_dumped_at_once) {
  cell_registry registry;
  std::vector<cell_ptr> cells;
  for (int i = 0; i < 10'000; ++i) {
    const auto& c = cells.emplace_back(registry.add("repository", "team-" + std::to_string(i % 50) + "/repository-" + std::to_string(i)));
    { const handling h{*c, "apply_object", 1}; }
    { const handling h{*c, "wake_due", 1}; }
    { const handling h{*c, "sync_now", 2}; }
    c->set_state("Ready");
    c->arm_timer("next", at("2026-03-10T11:00:00Z"));
    c->set_detail("sync_id", "0123456789abcdef");
    c->set_detail("phase", "");
    c->set_detail("url", "https://git.example.com/team/repository.git");
  }
  const auto cpu_milliseconds = [] { // of this thread: other work on the machine does not count
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
  };
  double milliseconds = std::numeric_limits<double>::infinity();
  std::size_t bytes = 0;
  for (int i = 0; i < 3; ++i) {
    const double begin = cpu_milliseconds();
    bytes = dump_json(registry, at("2026-03-10T10:07:30Z")).size();
    milliseconds = std::min(milliseconds, cpu_milliseconds() - begin);
  }
  BOOST_TEST_MESSAGE("dump of 10,000 actors: " << milliseconds << " ms, " << bytes << " bytes");
  BOOST_TEST(bytes > 1'000'000U);
#ifdef NDEBUG
  BOOST_TEST(milliseconds < 50.0);
#endif
}
