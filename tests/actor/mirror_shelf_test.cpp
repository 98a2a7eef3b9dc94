// links: veranda_actors veranda_adapter_kpt
#define BOOST_TEST_MODULE mirror_shelf
#include "actors/workers/worker.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/support/captured_log.hpp"
#include "tests/support/fakes/git_world.hpp"
#include "tests/support/fakes/memory_cache.hpp"
#include "tests/support/temporary_directory.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

struct no_secrets final : secrets::secret_source {
  result<credentials> resolve(const std::string&, const std::string&, const std::string&) override { return credentials{}; }
};

/// Some mirrors are held by jobs of others.
class held_client final : public fake_git_client {
public:
  using fake_git_client::fake_git_client;
  std::set<std::string> held;
  result<void> remove_mirror(const std::filesystem::path& dir) override {
    if (held.contains(dir.filename().string()))
      return failure{ec::unavailable, "in use", dir.string(), {}, {}};
    return fake_git_client::remove_mirror(dir);
  }
};

/// Three remotes whose mirrors take 1,000 bytes each, and workers that mind a limit.
struct house {
  git_world world;
  memory_cache cache;
  std::shared_ptr<held_client> client = std::make_shared<held_client>(world);
  wall_time now{1h};
  std::filesystem::path all = "/mirrors";
  job_tools tools;

  explicit house(std::uint64_t max_bytes = 2'500) {
    tools.git = client;
    tools.secrets = std::make_shared<no_secrets>();
    tools.open_cache = [this]() -> result<std::unique_ptr<store::package_cache_reader>> { return std::unique_ptr<store::package_cache_reader>{std::make_unique<memory_cache_reader>(cache)}; };
    tools.make_decoder = kpt::make_decoder;
    tools.store_contents = [this](auto batch, auto gate) { gate->release(memory_package_cache{cache}.put_contents(*batch)); };
    limit(max_bytes);
    for (const auto* name : {"a", "b", "c"})
      world.publish(url(name), "main", "web", 1);
  }
  void limit(std::uint64_t max_bytes) {
    tools.mirrors = std::make_shared<mirror_shelf>(client, all, max_bytes, [this] { return now; });
  }
  static std::string url(const std::string& name) { return "https://git.example/" + name + ".git"; }

  msg::job job(const std::string& name, msg::job_kind kind = msg::job_kind::sync) {
    auto spec = std::make_shared<repository_spec>();
    spec->type = repository_type::git;
    spec->git.emplace();
    spec->git->repo = url(name);
    spec->git->branch = "main";
    msg::job out;
    out.kind = kind;
    out.remote.url = url(name);
    out.mirror = (all / name).string();
    out.mirror_target = world.remotes[url(name)].objects.table();
    out.sync.key = {"team", name};
    out.sync.uid = name;
    out.sync.spec = spec;
    out.sync.target = out.mirror_target;
    out.cancel = std::make_shared<cancel_token>();
    return out;
  }
  result<msg::job_result> run(const msg::job& j) {
    now += 1min;
    return run_job(j, tools, [](const std::string&, const std::string&) {});
  }
  std::shared_ptr<const msg::sync_result> sync(const std::string& name) {
    const auto done = run(job(name));
    BOOST_REQUIRE_MESSAGE(done, (done ? "" : describe(done.error())));
    return done->synced;
  }
  /// Names of the mirrors on the disk.
  std::string there() const {
    std::string names;
    for (const auto& [dir, data] : world.mirrors)
      names += std::filesystem::path{dir}.filename().string();
    return names;
  }
  [[nodiscard]] std::optional<mirror_facts> facts(const std::string& name) const { return tools.mirrors->find(to_string(remote_identity{url(name), {}, {}})); }
};

} // namespace

BOOST_FIXTURE_TEST_CASE(the_least_recently_used_goes_when_another_needs_its_room, house) {
  sync("a");
  sync("b");
  BOOST_TEST(there() == "ab");
  sync("a");
  sync("c");
  BOOST_TEST(there() == "ac");
  const auto totals = tools.mirrors->totals();
  BOOST_TEST(totals.count == 2U);
  BOOST_TEST(totals.bytes == 2'000U);
  BOOST_TEST(totals.max_bytes == 2'500U);
  BOOST_TEST(totals.removed == 1U);
  BOOST_TEST(facts("a")->bytes == 1'000U);
  BOOST_TEST((facts("b")->removed == now));
  BOOST_TEST(facts("b")->bytes == 0U);
  BOOST_TEST(!facts("c")->removed);
}

BOOST_FIXTURE_TEST_CASE(one_that_went_is_fetched_whole_and_no_package_changes, house) {
  const auto first = sync("a");
  memory_package_cache writer{cache};
  const auto claim = writer.claim({"team", "a"}, "a", 1);
  BOOST_REQUIRE(claim);
  BOOST_REQUIRE(writer.apply_delta(*claim, first->delta, {}));
  sync("b");
  sync("c");
  BOOST_TEST(there() == "bc");
  const auto again = sync("a");
  BOOST_TEST(again->fetched);
  BOOST_TEST(again->delta.empty());
  BOOST_TEST(there() == "ac");
  BOOST_TEST(!facts("a")->removed);
}

BOOST_FIXTURE_TEST_CASE(one_that_a_job_holds_stays_and_the_next_goes, house) {
  sync("a");
  sync("b");
  client->held = {"a"};
  sync("c");
  BOOST_TEST(there() == "ac");
}

BOOST_FIXTURE_TEST_CASE(that_nothing_can_go_is_said_once_until_it_fits_again, house) {
  client->held = {"a", "b"};
  const auto said = logged([&] {
    for (const auto* name : {"a", "b", "c", "c"})
      sync(name);
    BOOST_TEST(there() == "abc");
    client->held.clear();
    sync("c");
    BOOST_TEST(there() == "bc");
    client->held = {"b", "c"};
    sync("a");
  });
  BOOST_TEST(count(said, "the mirrors take more than --mirror-max-bytes") == 2U, said);
  BOOST_TEST(count(said, "in use") == 2U, said);
}

BOOST_FIXTURE_TEST_CASE(without_a_limit_all_stay_and_are_counted, house) {
  limit(0);
  for (const auto* name : {"a", "b", "c"})
    sync(name);
  BOOST_TEST(there() == "abc");
  BOOST_TEST(tools.mirrors->totals().bytes == 3'000U);
}

BOOST_FIXTURE_TEST_CASE(a_mirror_whose_remote_ended_is_forgotten, house) {
  sync("a");
  BOOST_REQUIRE(run(job("a", msg::job_kind::remove_mirror)));
  BOOST_TEST(tools.mirrors->totals().count == 0U);
  BOOST_TEST(!facts("a").has_value());
}

BOOST_FIXTURE_TEST_CASE(after_a_start_with_a_lower_limit_those_beyond_it_go, house) {
  const temporary_directory scratch;
  all = scratch.path();
  limit(0);
  for (const auto* name : {"a", "b", "c"}) {
    std::filesystem::create_directory(all / name);
    sync(name);
    world.mirrors.at((all / name).string()).last_used = now;
  }
  const auto begin = [&](std::uint64_t max_bytes) {
    limit(max_bytes);
    auto sweep = job("a", msg::job_kind::sweep_mirrors);
    sweep.mirror = all.string();
    sweep.keep = {"a", "b", "c"};
    BOOST_REQUIRE(run(sweep));
  };
  begin(2'500);
  BOOST_TEST(there() == "bc");
  world.mirrors.at((all / "c").string()).bytes = 9'000; // never fits
  begin(2'500);
  BOOST_TEST(there() == "b");
  BOOST_TEST(facts("b")->bytes == 1'000U);
  BOOST_TEST(tools.mirrors->totals().removed == 1U);
}
