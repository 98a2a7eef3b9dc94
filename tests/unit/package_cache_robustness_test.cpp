// links: veranda_adapter_store
#define BOOST_TEST_MODULE package_cache_robustness
#include "adapters/store/sqlite.hpp"
#include "tests/support/store_fixture.hpp"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;

namespace {

using contents_t = std::map<std::string, package_revision>;

/// All packages of a repository at generation `n`: which, and with which files, follows from `n` alone.
std::vector<package_revision> generation(int n, int packages = 30) {
  std::vector<package_revision> all;
  for (int p = 0; p < packages; ++p)
    all.push_back(revision_of("repo", "p" + std::to_string(p), 1, 1 + static_cast<std::uint64_t>(n % 3)));
  return all;
}

durable_state state_of_generation(int n) {
  durable_state s;
  s.basis.digest = std::to_string(n);
  return s;
}

void check_integrity(const std::filesystem::path& file) {
  sqlite::connection db{file, sqlite::access::read_write};
  sqlite::query integrity{db, "PRAGMA integrity_check"};
  BOOST_REQUIRE(integrity.step());
  BOOST_TEST(integrity.text(0) == "ok");
  sqlite::query references{db, "PRAGMA foreign_key_check"};
  BOOST_TEST(!references.step());
}

} // namespace

BOOST_AUTO_TEST_CASE(random_deltas_leave_what_a_simple_model_leaves) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      cache_fixture f;
      f.put_files(1, 4);
      std::mt19937 random{seed};
      const auto draw = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
      contents_t model;
      for (int round = 0; round < 40; ++round) {
        package_delta d;
        std::set<std::string> touched;
        for (int k = draw(8); k > 0; --k) {
          auto r = revision_of("repo", "p" + std::to_string(draw(12)), 1 + draw(2), 1 + static_cast<std::uint64_t>(draw(4)));
          if (!touched.insert(r.name).second)
            continue;
          const auto known = model.find(r.name);
          if (known == model.end()) {
            d.added.push_back(r);
            model[r.name] = r;
          } else if (draw(3) == 0) {
            d.removed.push_back(r.name);
            model.erase(known);
          } else {
            d.changed.push_back(r);
            known->second = r;
          }
        }
        const auto outcome = f.apply(d);
        std::set<std::string> packages;
        for (const auto& [name, r] : model)
          packages.insert(r.key.package_name());
        BOOST_TEST(outcome.revisions == model.size());
        BOOST_TEST(outcome.packages == packages.size());
      }
      contents_t listed;
      value(f.reader->list({}, [&](const cached_revision& r) { return listed.emplace(r.revision.name, r.revision), true; }));
      BOOST_CHECK(listed == model);
      contents_t snapshot_model;
      for (const auto& entry : value(f.reader->snapshot("uid-1")))
        BOOST_CHECK(model.count(entry.name) == 1 && model.at(entry.name).digest() == entry.digest);
      contents_t replayed; // the feed alone tells the same
      for (const auto& e : value(f.reader->feed_after(f.start, 100'000))) {
        const auto& r = e.object.revision;
        BOOST_TEST((e.event == feed_event::added) == (replayed.count(r.name) == 0));
        if (e.event == feed_event::deleted)
          replayed.erase(r.name);
        else
          replayed[r.name] = r;
      }
      BOOST_CHECK(replayed == model);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_feed_keeps_its_bound_and_current_rows_outlive_it) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  auto cache = value(open_package_cache(file, [] { return wall_time{}; }, 50));
  auto reader = value(open_package_cache_reader(file));
  const auto claim = value(cache->claim({"default", "repo"}, "uid-1", 1));
  for (std::uint64_t n = 1; n <= 3; ++n)
    value(cache->put_contents(files_of(n)));
  const auto start = value(reader->feed_position());
  for (int n = 0; n < 10; ++n)
    value(cache->apply_delta(claim, delta(generation(n)), {}));
  value(cache->apply_delta(claim, delta({}, {}, {generation(9)[0].name}), {}));
  const auto end = value(reader->feed_position());
  BOOST_TEST(end == start + 301);
  BOOST_TEST(code(reader->feed_after(end - 51, 1)) == "stale");
  const auto kept = value(reader->feed_after(end - 50, 1000));
  BOOST_TEST(kept.size() == 50U);
  BOOST_TEST(kept.front().position == end - 49);
  BOOST_TEST(value(reader->snapshot("uid-1")).size() == 29U);
  value(cache->close(claim));
  sqlite::connection db{file, sqlite::access::read_only};
  BOOST_TEST(db.integer("SELECT count(*) FROM revisions") == 50);
  BOOST_TEST(value(reader->feed_after(end, 1000)).size() == 29U);
}

BOOST_FIXTURE_TEST_CASE(a_reader_sees_the_old_state_while_the_writer_works, cache_fixture) {
  put_files(1, 1);
  apply(delta(generation(0, 2)), state_of_generation(0));
  {
    sqlite::connection other{file, sqlite::access::read_write};
    sqlite::transaction tx{other, true};
    other.execute("UPDATE repositories SET basis_digest = 'unfinished'; UPDATE revisions SET repository = NULL");
    BOOST_TEST(value(reader->snapshot("uid-1")).size() == 2U);
    BOOST_TEST(value(reader->state("uid-1"))->basis.digest == "0");
  }
  BOOST_TEST(value(reader->state("uid-1"))->basis.digest == "0");
}

BOOST_FIXTURE_TEST_CASE(a_listing_is_one_moment_and_does_not_hold_up_the_writer, cache_fixture) {
  put_files(1, 1);
  apply(delta(generation(0, 5)));
  const auto before = value(reader->feed_position());
  int seen = 0;
  const auto position = value(reader->list({}, [&](const cached_revision&) {
    if (++seen == 1)
      value(cache->close(claim));
    return true;
  }));
  BOOST_TEST(seen == 5);
  BOOST_TEST(position == before);
  BOOST_TEST(value(reader->feed_after(position, 100)).size() == 5U);
  BOOST_TEST(names().empty());
}

BOOST_FIXTURE_TEST_CASE(three_readers_never_see_half_a_delta, cache_fixture) {
  put_files(1, 3);
  apply(delta(generation(0)), state_of_generation(0));
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> looks{0};
  std::vector<std::thread> threads;
  for (int n = 0; n < 3; ++n)
    threads.emplace_back([&] {
      auto mine = open_package_cache_reader(file);
      while (mine && !stop) {
        std::set<oid> trees;
        int count = 0;
        const auto done = (*mine)->list({"default", "", ""}, [&](const cached_revision& r) { return ++count, trees.insert(r.revision.tree), true; });
        wrong += !done || count != 30 || trees.size() != 1;
        ++looks;
      }
      wrong += !mine;
    });
  for (int n = 1; n < 30 || looks < 30; ++n)
    apply(delta(generation(n)), state_of_generation(n));
  stop = true;
  for (auto& thread : threads)
    thread.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(a_process_killed_at_any_moment_leaves_the_state_before_or_after) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  const auto now = [] { return wall_time{}; };
  {
    auto cache = value(open_package_cache(file, now));
    for (std::uint64_t n = 1; n <= 3; ++n)
      value(cache->put_contents(files_of(n)));
    const auto claim = value(cache->claim({"default", "repo"}, "uid-1", 1));
    value(cache->apply_delta(claim, delta(generation(0)), state_of_generation(0)));
  }
  std::mt19937 random{7};
  int reached = 0;
  for (int round = 0; round < 12; ++round) {
    int said[2];
    BOOST_REQUIRE(::pipe(said) == 0);
    const auto child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      ::close(said[0]);
      auto cache = open_package_cache(file, now);
      auto claim = cache ? (*cache)->claim({"default", "repo"}, "uid-1", 1) : result<repository_claim>{failure{}};
      for (int n = reached + 1; claim; ++n)
        if (!(*cache)->apply_delta(*claim, delta(generation(n)), state_of_generation(n)) || ::write(said[1], "w", 1) != 1)
          break;
      ::_exit(1);
    }
    ::close(said[1]);
    char written = 0; // after so many deltas, somewhere within the next one
    for (auto left = 1 + random() % 8; left > 0; --left)
      BOOST_REQUIRE(::read(said[0], &written, 1) == 1);
    for (volatile auto spin = random() % 3'000'000; spin > 0;)
      spin = spin - 1;
    ::kill(child, SIGKILL);
    ::close(said[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    BOOST_TEST(WIFSIGNALED(status)); // it did not end by itself
    auto cache = value(open_package_cache(file, now));
    auto reader = value(open_package_cache_reader(file));
    reached = std::stoi(value(reader->state("uid-1"))->basis.digest);
    const auto wanted = generation(reached);
    std::size_t count = 0;
    value(reader->list({}, [&](const cached_revision& r) {
      ++count;
      BOOST_CHECK(r.revision.tree == wanted[0].tree);
      return true;
    }));
    BOOST_TEST(count == wanted.size());
    cache.reset();
    reader.reset();
    check_integrity(file);
  }
  BOOST_TEST(reached > 0); // the children did write
}

BOOST_FIXTURE_TEST_CASE(a_full_disk_is_an_error_that_heals, cache_fixture) {
  put_files(1, 2);
  apply(delta(generation(0)), state_of_generation(0));
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto full = before;
  full.rlim_cur = std::filesystem::file_size(file.string() + "-wal");
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  const auto refused = cache->apply_delta(claim, delta(generation(1)), state_of_generation(1));
  const auto unstored = cache->put_contents(files_of(9));
  BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  BOOST_TEST(code(refused) == "unavailable");
  BOOST_TEST(code(unstored) == "unavailable");
  BOOST_TEST(value(reader->state("uid-1"))->basis.digest == "0");
  BOOST_CHECK(value(reader->get({"default", generation(0)[0].name}))->revision.tree == id_of(1));
  apply(delta(generation(1)), state_of_generation(1));
  BOOST_CHECK(value(reader->get({"default", generation(0)[0].name}))->revision.tree == id_of(2));
  cache.reset();
  reader.reset();
  check_integrity(file);
}
