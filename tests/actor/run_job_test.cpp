// links: veranda_actors veranda_adapter_kpt
#define BOOST_TEST_MODULE run_job
#include "actors/workers/worker.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/support/fakes/git_world.hpp"
#include "tests/support/fakes/memory_cache.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <unistd.h>

using namespace veranda;
using namespace veranda::test;

namespace {

constexpr const char* url = "https://git.example/packages.git";

struct no_secrets final : secrets::secret_source {
  result<credentials> resolve(const std::string&, const std::string&, const std::string&) override { return credentials{}; }
};

/// A mirror some of whose objects cannot be read until it is removed.
class damaged_client final : public fake_git_client {
public:
  using fake_git_client::fake_git_client;
  std::map<oid, failure> damage; ///< by object
  unsigned removals = 0;
  std::vector<std::string> removed;
  std::optional<std::string> cannot_remove;
  std::optional<failure> cannot_open;  ///< until it is removed, or `for_good`
  std::optional<failure> cannot_build; ///< what a fetch into a mirror that has something answers
  bool for_good = false;               ///< removing mirrors mends nothing

  result<std::unique_ptr<git::mirror>> open_mirror(const std::filesystem::path& dir, const std::string& identity) override {
    if (cannot_open)
      return *cannot_open;
    auto opened = fake_git_client::open_mirror(dir, identity);
    if (!opened)
      return opened;
    inner_ = std::unique_ptr<fake_mirror>{dynamic_cast<fake_mirror*>(opened->release())};
    return std::unique_ptr<git::mirror>{std::make_unique<damaged_mirror>(*this)};
  }
  result<void> remove_mirror(const std::filesystem::path& dir) override {
    ++removals;
    if (cannot_remove == dir.filename().string())
      return failure{ec::unavailable, "in use", dir.string(), {}, {}};
    removed.push_back(dir.filename().string());
    if (!for_good) {
      damage.clear();
      cannot_open.reset();
    }
    return fake_git_client::remove_mirror(dir);
  }
  result<git::fetch_report> fetch(git::mirror&, const remote_endpoint& remote, const ref_table& target, const cancel_token& cancel, bool without_haves,
                                  const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
    if (cannot_build && !inner_->refs()->refs.empty())
      return *cannot_build;
    return fake_git_client::fetch(*inner_, remote, target, cancel, without_haves, progress);
  }

private:
  class damaged_mirror final : public git::mirror, private logic::object_reader {
  public:
    explicit damaged_mirror(damaged_client& client) : client_(client) {}
    ref_table_ptr refs() const override { return client_.inner_->refs(); }
    logic::object_reader& objects() override { return *this; }
    bool contains(const oid& id) override { return !client_.damage.contains(id) && client_.inner_->contains(id); }
    std::string load_index() override { return client_.inner_->load_index(); }
    result<void> save_index(std::string_view image) override { return client_.inner_->save_index(image); }
    std::size_t pack_count() const override { return 1; }
    const std::filesystem::path& path() const override { return client_.inner_->path(); }

  private:
    result<logic::git_object> read(const oid& id, std::uint64_t max_bytes) override {
      const auto at = client_.damage.find(id);
      return at != client_.damage.end() ? result<logic::git_object>{at->second} : client_.inner_->objects().read(id, max_bytes);
    }
    result<logic::git_object_header> header(const oid& id) override { return client_.inner_->objects().header(id); }
    damaged_client& client_;
  };
  std::unique_ptr<fake_mirror> inner_;
};

struct bench {
  git_world world;
  memory_cache cache;
  std::shared_ptr<damaged_client> client = std::make_shared<damaged_client>(world);
  job_tools tools;
  oid blob; ///< of the package's a.yaml

  bench() {
    tools.git = client;
    tools.secrets = std::make_shared<no_secrets>();
    tools.open_cache = [this]() -> result<std::unique_ptr<store::package_cache_reader>> { return std::unique_ptr<store::package_cache_reader>{std::make_unique<memory_cache_reader>(cache)}; };
    tools.make_decoder = kpt::make_decoder;
    tools.store_contents = [this](auto batch, auto gate) { gate->release(memory_package_cache{cache}.put_contents(*batch)); };
    world.publish(url, "main", "web", 1);
    blob = memory_objects{}.blob("x: 1\n# 1\n");
  }
  msg::job job(msg::job_kind kind = msg::job_kind::sync) {
    auto spec = std::make_shared<repository_spec>();
    spec->type = repository_type::git;
    spec->git.emplace();
    spec->git->repo = url;
    spec->git->branch = "main";
    msg::job out;
    out.kind = kind;
    out.remote.url = url;
    out.mirror = "/mirrors/one";
    out.mirror_target = world.remotes[url].objects.table();
    out.sync.key = {"team", "blueprints"};
    out.sync.uid = "uid";
    out.sync.spec = spec;
    out.sync.target = out.mirror_target;
    out.cancel = std::make_shared<cancel_token>();
    return out;
  }
  result<msg::job_result> run(const msg::job& j) {
    return run_job(j, tools, [](const std::string&, const std::string&) {});
  }
};

/// Runs a sync and applies what it found; answers its bad items, one a line, and their count.
struct synced_bench : bench {
  memory_package_cache writer{cache};
  store::repository_claim claim = *writer.claim({"team", "blueprints"}, "uid", 1);

  std::string sync() {
    const auto done = run(job());
    if (!done)
      return describe(done.error());
    const auto& found = done->synced->delta;
    if (auto applied = writer.apply_delta(claim, found, {}); !applied)
      return describe(applied.error());
    std::string text = std::to_string(found.stats.bad) + "\n";
    for (const auto& item : found.bad)
      text += item.what + ": " + item.reason + "\n";
    return text;
  }
  void write(file_map files) {
    for (auto& [path, text] : files)
      files_[path] = text;
    for (const auto* package : {"db", "dc", "web"})
      files_[std::string{package} + "/Kptfile"] = kptfile(package);
    world.commit(url, "main", files_);
  }

private:
  file_map files_;
};

std::string text_of(const result<msg::job_result>& r) { return r ? "ok" : describe(r.error()); }

} // namespace

BOOST_FIXTURE_TEST_SUITE(run_job_suite, bench)

BOOST_AUTO_TEST_CASE(a_damaged_mirror_is_fetched_anew_whatever_step_meets_it) {
  const auto tip = world.remotes[url].objects.refs().at("refs/heads/main");
  for (const auto& where : {tip, blob}) // met by discovery, met by reading files
    for (const auto code : {ec::checksum_mismatch, ec::corrupt_cache, ec::not_found}) {
      cache = {};
      world.mirrors.clear();
      client->removals = 0;
      client->damage = {{where, {code, "damaged", {}, {}, {}}}};
      BOOST_TEST_CONTEXT(where.hex() << " " << to_string(code)) {
        const auto done = run(job());
        BOOST_TEST_REQUIRE(text_of(done) == "ok");
        BOOST_TEST(client->removals == 1U);
        BOOST_TEST(!done->synced->delta.added.empty());
        BOOST_TEST(cache.contents.contains(blob));
      }
    }
}

BOOST_AUTO_TEST_CASE(what_the_remote_itself_lacks_is_fetched_once_more_and_then_told) {
  world.remotes[url].objects.forget(blob);
  const auto done = run(job());
  BOOST_TEST(text_of(done) == std::string{url} + ": the pack that the remote sends lacks objects or holds damaged ones: no such object");
  BOOST_TEST(to_string(done.error().code) == "checksum_mismatch");
  BOOST_TEST(client->removals == 1U);
}

BOOST_AUTO_TEST_CASE(damage_of_a_mirror_is_never_told_as_damage_of_the_package_cache) {
  const failure damaged{ec::corrupt_cache, "damaged", {}, {}, {}};
  const auto tip = world.remotes[url].objects.refs().at("refs/heads/main");
  client->for_good = true;
  const auto check = [&](const char* where) {
    const auto done = run(job());
    BOOST_TEST_REQUIRE(!done.ok(), where);
    BOOST_TEST(to_string(done.error().code) == "checksum_mismatch", where << ": " << describe(done.error()));
  };
  for (const auto& object : {tip, blob}) {
    client->damage = {{object, damaged}};
    check("an object");
  }
  client->damage.clear();
  client->cannot_open = damaged;
  check("opening");
  client->cannot_open.reset();
  world.remotes[url].fetch_fails = damaged;
  check("fetching");
}

BOOST_AUTO_TEST_CASE(a_fetch_that_breaks_on_what_the_mirror_has_is_made_anew) {
  for (const auto code : {ec::checksum_mismatch, ec::corrupt_cache}) {
    client->cannot_build.reset();
    BOOST_TEST_REQUIRE(text_of(run(job())) == "ok");
    client->removals = 0;
    client->cannot_build = {code, "damaged", {}, {}, {}};
    world.publish(url, "main", "web", code == ec::checksum_mismatch ? 2 : 3);
    BOOST_TEST(text_of(run(job())) == "ok");
    BOOST_TEST(client->removals == 1U);
  }
  world.mirrors.clear();
  client->removals = 0;
  world.remotes[url].fetch_fails = {ec::checksum_mismatch, "damaged", {}, {}, {}};
  BOOST_TEST(text_of(run(job())) == "damaged"); // nothing was there: the remote's own
  BOOST_TEST(client->removals == 0U);
}

BOOST_AUTO_TEST_CASE(damage_of_the_package_cache_costs_no_mirror) {
  struct broken_reader final : memory_cache_reader {
    using memory_cache_reader::memory_cache_reader;
    result<std::vector<oid>> missing_trees(const std::vector<oid>&, std::uint64_t) override { return failure{ec::corrupt_cache, "the file is damaged", {}, {}, {}}; }
  };
  tools.open_cache = [this]() -> result<std::unique_ptr<store::package_cache_reader>> { return std::unique_ptr<store::package_cache_reader>{std::make_unique<broken_reader>(cache)}; };
  BOOST_TEST(text_of(run(job())) == "the file is damaged");
  BOOST_TEST(client->removals == 0U);
}

BOOST_AUTO_TEST_CASE(a_tip_that_the_mirror_was_not_brought_to_is_a_race) {
  auto late = job();
  const auto before = late.mirror_target;
  world.publish(url, "main", "web", 2);
  late.sync.target = world.remotes[url].objects.table();
  late.mirror_target = before;
  client->damage = {{late.sync.target->find("refs/heads/main")->target, {ec::not_found, "missing", {}, {}, {}}}};
  const auto done = run(late);
  BOOST_TEST_REQUIRE(!done.ok());
  BOOST_TEST(to_string(done.error().code) == "conflict");
  BOOST_TEST(client->removals == 0U);
}

BOOST_AUTO_TEST_CASE(a_full_sync_forgets_the_index) {
  BOOST_TEST_REQUIRE(text_of(run(job())) == "ok");
  const auto all = [&](bool full) {
    cache = {};
    auto j = job();
    j.sync.full = full;
    const auto done = run(j);
    BOOST_TEST_REQUIRE(text_of(done) == "ok");
    return done->synced->objects_read;
  };
  const auto remembered = all(false);
  BOOST_TEST(all(true) > remembered);
}

BOOST_FIXTURE_TEST_CASE(what_is_too_large_is_named_by_every_sync_while_it_is_current, synced_bench) {
  const auto large = "a: " + std::string(1000, 'x') + "\n";
  const auto named = [](const std::string& ref, const std::string& file) {
    return ref + ":" + file + ": is larger than 500 bytes; its content is not kept\n";
  };
  tools.limits.max_resource_bytes = 500;
  write({{"db/large.yaml", large}});
  const auto one = "1\n" + named("refs/heads/main", "db/large.yaml");
  BOOST_TEST(sync() == one);
  write({{"web/a.yaml", "x: 2\n"}}); // elsewhere
  BOOST_TEST(sync() == one);
  BOOST_TEST(sync() == one); // nothing changed at all
  auto& refs = world.remotes[url].objects;
  refs.set_ref("refs/tags/db/v1", refs.refs().at("refs/heads/main"));
  BOOST_TEST(sync() == one); // another revision of the same files is the same loss
  write({{"dc/large.yaml", large}});
  BOOST_TEST(sync() == "2\n" + named("refs/heads/main", "db/large.yaml") + named("refs/heads/main", "dc/large.yaml"));
  write({{"db/large.yaml", "a: small\n"}, {"dc/large.yaml", "a: small\n"}});
  BOOST_TEST(sync() == "1\n" + named("refs/tags/db/v1", "db/large.yaml"));
}

BOOST_FIXTURE_TEST_CASE(a_higher_limit_takes_in_what_fits_and_a_lower_one_loses_nothing, synced_bench) {
  const auto large = "a: " + std::string(1000, 'x') + "\n";
  const auto blob_of_large = memory_objects{}.blob(large);
  tools.limits.max_resource_bytes = 500;
  write({{"db/large.yaml", large}});
  BOOST_TEST(sync().starts_with("1\n"));
  BOOST_TEST(!cache.contents.contains(blob_of_large));
  tools.limits.max_resource_bytes = 1500;
  BOOST_TEST(sync() == "0\n");
  BOOST_TEST(cache.contents.contains(blob_of_large));
  tools.limits.max_resource_bytes = 500;
  BOOST_TEST(sync() == "0\n");
  write({{"web/a.yaml", "x: 2\n"}});
  BOOST_TEST(sync() == "0\n");
}

BOOST_FIXTURE_TEST_CASE(more_files_than_one_sync_may_bring_are_refused, synced_bench) {
  file_map many;
  for (int n = 0; n < 50; ++n)
    many["db/f" + std::to_string(n) + ".yaml"] = std::to_string(n) + std::string(1000, 'x');
  write(many);
  tools.limits.max_sync_bytes = 20'000;
  const auto refused = run(job());
  BOOST_TEST_REQUIRE(!refused.ok());
  BOOST_TEST((refused.error().code == ec::too_large));
  BOOST_TEST(refused.error().what.find("the files of its packages take more than the 20000 bytes") == 0U, refused.error().what);
  BOOST_TEST(refused.error().what.find("--max-sync-bytes") != std::string::npos);
  tools.limits.max_sync_bytes = 1'000'000;
  BOOST_TEST(sync() == "0\n");
}

BOOST_FIXTURE_TEST_CASE(a_revision_that_went_is_not_asked_for_its_files, synced_bench) {
  tools.limits.max_resource_bytes = 500;
  write({{"db/large.yaml", "a: " + std::string(1000, 'x') + "\n"}});
  BOOST_TEST(sync().starts_with("1\n"));
  world.remotes[url].objects = {};
  world.mirrors.clear();
  world.publish(url, "main", "other", 1);
  tools.limits.max_resource_bytes = 1500;
  BOOST_TEST(sync() == "0\n"); // its objects are nowhere any more
  BOOST_TEST(client->removals == 0U);
}

BOOST_AUTO_TEST_CASE(unused_mirrors_go_though_one_stays) {
  const auto dir = std::filesystem::temp_directory_path() / ("veranda-sweep-" + std::to_string(::getpid()));
  for (const auto* name : {"a", "b", "used", "z"})
    std::filesystem::create_directories(dir / name);
  auto sweep = job(msg::job_kind::sweep_mirrors);
  sweep.mirror = dir.string();
  sweep.keep = {"used"};
  client->cannot_remove = "b";
  const auto done = run(sweep);
  std::sort(client->removed.begin(), client->removed.end());
  BOOST_TEST(client->removed == (std::vector<std::string>{"a", "z"}), boost::test_tools::per_element());
  BOOST_TEST_REQUIRE(!done.ok());
  BOOST_TEST(to_string(done.error().code) == "unavailable");
  std::filesystem::remove_all(dir);
}

BOOST_AUTO_TEST_SUITE_END()
