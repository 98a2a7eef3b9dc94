// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_merge_packs
#include "adapters/git/disk_mirror.hpp"
#include "tests/support/git_repository.hpp"

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>
#include <thread>

using namespace veranda;
using namespace veranda::git;
using veranda::test::git_repository;
using veranda::test::scratch_dir;
using veranda::test::shell;

namespace {

namespace fs = std::filesystem;

struct setup {
  scratch_dir scratch;
  git_repository origin{scratch / "origin"};
  fs::path dir = scratch / "mirror";
  fs::path packs = dir / "objects" / "pack";
  transport_limits limits;
  cancel_token cancel;
  int commits = 0;

  std::unique_ptr<mirror> open() const {
    auto m = open_mirror(dir, "id");
    BOOST_REQUIRE_MESSAGE(m, (m ? "" : describe(m.error())));
    return *std::move(m);
  }
  result<fetch_report> try_fetch(mirror& m) const {
    const remote_endpoint remote{origin.url(), {}};
    const auto listed = list_refs(remote, {"refs/heads/"}, {}, limits, cancel);
    BOOST_REQUIRE(listed);
    return fetch(m, remote, *listed->refs, limits, cancel, false, {});
  }
  void bring(mirror& m) const {
    const auto fetched = try_fetch(m);
    BOOST_REQUIRE_MESSAGE(fetched, (fetched ? "" : describe(fetched.error())));
    BOOST_REQUIRE(m.settle());
  }
  /// One commit, one fetch, one pack. Files grow at their end, so that most objects are deltas.
  void grow(mirror& m, int times) {
    for (; times > 0; --times) {
      content += "line " + std::to_string(++commits) + " of a file that is long enough to be worth a delta\n";
      origin.commit("a/file-" + std::to_string(commits % 3), content);
      bring(m);
    }
  }
  /// Puts a commit with some 600 KiB that do not compress in the place of the last such one, and brings the mirror to it.
  void push_over(mirror& m) {
    if (overs++ == 0) base = origin.commit("a/first", "first");
    origin.git("reset -q --hard " + base);
    origin.commit("large", noise(600U << 10U, overs));
    bring(m);
  }
  static std::string noise(std::size_t size, std::uint32_t seed) {
    std::string out;
    for (std::uint32_t n = seed * 2654435761U + 1; out.size() < size; n = n * 1664525U + 1013904223U) out += static_cast<char>(n >> 24U);
    return out;
  }
  std::uintmax_t bytes() const {
    std::uintmax_t all = 0;
    for (const auto& name : names())
      if (name.ends_with(".pack")) all += fs::file_size(packs / name);
    return all;
  }
  std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(packs)) out.insert(entry.path().filename().string());
    return out;
  }
  /// Everything is there and sound, by git's judgement and by ours.
  void check_whole(mirror& m) const {
    BOOST_TEST(shell("git -C '" + dir.string() + "' fsck --full --strict --no-dangling 2>&1 | grep -v ^notice: || true") == "");
    for (const auto& name : names())
      if (name.ends_with(".idx")) shell("git verify-pack '" + (packs / name).string() + "'");
    std::istringstream ids{shell("git -C '" + origin.url() + "' rev-list --all --objects | cut -d' ' -f1")};
    std::size_t read = 0;
    for (std::string id; ids >> id; ++read) {
      const auto object = m.objects().read(*oid::parse(id));
      BOOST_TEST_REQUIRE(object.ok(), id);
    }
    BOOST_TEST(read >= static_cast<std::size_t>(commits) * 4);
    for (const auto& name : names()) BOOST_TEST((name.ends_with(".pack") || name.ends_with(".idx")), name);
  }

  std::string content;
  std::string base;
  std::uint32_t overs = 0;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(many_small_packs_become_one, setup) {
  auto m = open();
  grow(*m, 16);
  const auto before = names();
  BOOST_REQUIRE(m->tidy(cancel));
  BOOST_TEST((names() == before)); // not many yet
  grow(*m, 1);
  BOOST_TEST(m->pack_count() == 17U);
  BOOST_REQUIRE(m->tidy(cancel));
  BOOST_TEST(m->pack_count() < 10U);
  check_whole(*m); // the open mirror goes on
  m.reset();
  m = nullptr;
  m = open();
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(a_large_pack_is_left_alone_and_the_number_stays_bounded, setup) {
  origin.commit("large", noise(256U << 10U, 1));
  auto m = open();
  grow(*m, 1);
  const auto first = names();
  std::size_t most = 0;
  for (int n = 0; n < 60; ++n) {
    grow(*m, 1);
    BOOST_REQUIRE(m->tidy(cancel));
    most = std::max(most, m->pack_count());
  }
  BOOST_TEST(most <= 17U);
  for (const auto& name : first) BOOST_TEST(names().contains(name));
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(a_crash_between_any_two_steps_loses_nothing, setup) {
  auto m = open();
  grow(*m, 17);
  const auto old = scratch / "old";
  fs::copy(packs, old);
  BOOST_REQUIRE(m->tidy(cancel));
  m.reset();
  std::set<std::string> merged, gone;
  for (const auto& name : names())
    if (!fs::exists(old / name)) merged.insert(name);
  for (const auto& entry : fs::directory_iterator(old))
    if (!fs::exists(packs / entry.path().filename())) gone.insert(entry.path().filename().string());
  BOOST_TEST_REQUIRE(merged.size() == 2U);
  BOOST_TEST_REQUIRE(gone.size() >= 18U);
  const auto done = scratch / "done";
  fs::copy(packs, done);

  const auto stage = [&](bool keep_merged_index, std::size_t removed) {
    fs::remove_all(packs);
    fs::copy(done, packs);
    std::size_t n = 0;
    for (const auto& name : gone) // sorted: an index goes before its pack
      if (n++ >= removed) fs::copy_file(old / name, packs / name);
    if (!keep_merged_index)
      for (const auto& name : merged)
        if (name.ends_with(".idx")) fs::remove(packs / name);
  };
  stage(false, 0); // the pack has its name, its index not yet
  for (const char* name : {"tmp_merged.pack.new", "tmp_merged.idx.new"}) std::ofstream{packs / name} << "half";
  auto again = open();
  check_whole(*again);
  BOOST_TEST(again->pack_count() == 17U);
  again.reset();
  for (const std::size_t removed : {std::size_t{0}, std::size_t{1}, std::size_t{2}, gone.size() - 1}) {
    stage(true, removed);
    again = nullptr;
    again = open();
    check_whole(*again);
    BOOST_REQUIRE(again->tidy(cancel)); // and the next time it comes to an end
    BOOST_TEST(again->pack_count() < 17U);
    check_whole(*again);
    again.reset();
  }
}

BOOST_FIXTURE_TEST_CASE(a_stopped_merge_and_a_damaged_pack_change_nothing, setup) {
  auto m = open();
  grow(*m, 17);
  const auto before = names();
  cancel_token stopped;
  stopped.stop = true;
  const auto refused = m->tidy(stopped);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::cancelled));
  BOOST_TEST((names() == before));
  for (const auto& name : before)
    if (name.ends_with(".pack")) {
      fs::permissions(packs / name, fs::perms::owner_all);
      std::fstream file{packs / name, std::ios::in | std::ios::out | std::ios::binary};
      file.seekp(20);
      file << "xx";
      break;
    }
  const auto damaged = m->tidy(cancel);
  BOOST_REQUIRE(!damaged);
  BOOST_TEST((damaged.error().code == ec::corrupt_cache));
  BOOST_TEST((names() == before));
}

BOOST_FIXTURE_TEST_CASE(what_no_ref_leads_to_goes_once_packs_take_more_than_twice_and_a_little, setup) {
  auto m = open();
  push_over(*m);
  const auto first = *oid::parse(origin.git("rev-parse HEAD:large"));
  for (int n = 0; n < 3; ++n) {
    push_over(*m);
    const auto before = names();
    BOOST_REQUIRE(m->tidy(cancel));
    if (n < 2) BOOST_TEST((names() == before), "not yet: " << n);
    m.reset();
    m = open(); // what they took at first is remembered
  }
  BOOST_TEST(m->pack_count() == 1U);
  BOOST_TEST(bytes() < (700U << 10U));
  BOOST_TEST(!m->contains(first));
  check_whole(*m);
  push_over(*m); // the mirror goes on
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(what_really_grew_is_looked_through_once, setup) {
  auto m = open();
  grow(*m, 1);
  for (std::uint32_t n = 1; n < 4; ++n) {
    origin.commit("large-" + std::to_string(n), noise(600U << 10U, n));
    bring(*m);
  }
  BOOST_REQUIRE(m->tidy(cancel));
  BOOST_TEST(m->pack_count() == 1U);
  check_whole(*m);
  const auto merged = names();
  origin.commit("large-4", noise(600U << 10U, 4));
  bring(*m);
  BOOST_REQUIRE(m->tidy(cancel));
  BOOST_TEST(m->pack_count() == 2U);
  for (const auto& name : merged) BOOST_TEST(names().contains(name));
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(the_base_of_a_difference_stays_though_no_ref_leads_to_it, setup) {
  auto opened = disk_mirror::open(dir, "id");
  BOOST_REQUIRE(opened);
  auto& m = **opened;
  content = noise(20U << 10U, 7);
  grow(m, 6);
  const auto gone = *oid::parse(origin.git("rev-parse HEAD~3"));
  origin.git("checkout -q --orphan fresh");
  origin.git("commit -q -m fresh");
  origin.git("branch -q -f main fresh");
  origin.git("checkout -q main");
  origin.git("branch -q -D fresh");
  bring(m);
  BOOST_REQUIRE(m.contains(gone));
  auto wanted = reachable_objects(*m.refs(), m.objects(), cancel);
  BOOST_REQUIRE(wanted);
  BOOST_TEST(wanted->size() == 6U); // a commit, two trees, three files
  BOOST_REQUIRE(merge_wanted(packs, *wanted, cancel));
  BOOST_TEST(shell("cat '" + packs.string() + "'/*.idx | git show-index | wc -l") != "6", "no difference was there to be tested");
  opened->reset();
  auto again = open();
  BOOST_TEST(again->pack_count() == 1U);
  BOOST_TEST(!again->contains(gone));
  for (const auto& id : *wanted) BOOST_TEST(again->objects().read(id).ok(), id.hex());
  BOOST_TEST(shell("git -C '" + dir.string() + "' fsck --full --strict --no-dangling 2>&1 | grep -v ^notice: || true") == "");
}

BOOST_FIXTURE_TEST_CASE(a_crash_while_what_is_of_no_use_goes_loses_nothing, setup) {
  auto m = open();
  for (int n = 0; n < 4; ++n) push_over(*m);
  const auto old = scratch / "old";
  fs::copy(packs, old);
  BOOST_REQUIRE(m->tidy(cancel));
  m.reset();
  const auto done = scratch / "done";
  fs::copy(packs, done);
  std::vector<std::string> gone; // sorted: an index goes before its pack
  for (const auto& entry : fs::directory_iterator(old)) gone.push_back(entry.path().filename().string());
  std::sort(gone.begin(), gone.end());
  BOOST_TEST_REQUIRE(gone.size() == 8U);
  for (std::size_t removed = 0; removed <= gone.size(); ++removed) {
    fs::remove_all(packs);
    fs::copy(done, packs);
    for (std::size_t n = removed; n < gone.size(); ++n) fs::copy_file(old / gone[n], packs / gone[n]);
    auto again = open();
    check_whole(*again);
    BOOST_REQUIRE(again->tidy(cancel));
    check_whole(*again);
    again.reset();
  }
}

BOOST_FIXTURE_TEST_CASE(a_merge_of_everything_that_was_stopped_comes_again_and_one_that_took_too_long_later, setup) {
  auto m = open();
  for (int n = 0; n < 4; ++n) push_over(*m);
  const auto before = names();
  cancel_token stopped;
  stopped.stop = true;
  auto refused = m->tidy(stopped);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::cancelled));
  BOOST_TEST((names() == before));
  m.reset();
  m = open();
  cancel_token late;
  late.deadline = std::chrono::steady_clock::now();
  refused = m->tidy(late);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::timed_out));
  BOOST_TEST((names() == before));
  m.reset();
  m = open();
  BOOST_REQUIRE(m->tidy(cancel)); // only when they have doubled again
  BOOST_TEST((names() == before));
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(a_mirror_takes_no_more_than_one_may, setup) {
  auto m = open();
  push_over(*m);
  limits.max_mirror_bytes = 1U << 20U;
  origin.commit("large-2", noise(600U << 10U, 9));
  const auto before = names();
  const auto refused = try_fetch(*m);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::too_large));
  BOOST_TEST(refused.error().what.find("--mirror-max-bytes") != std::string::npos, refused.error().what);
  m.reset();
  m = open();
  BOOST_TEST((names() == before)); // what was there goes on
  limits.max_mirror_bytes = 2U << 20U;
  bring(*m);
  check_whole(*m);
}

BOOST_FIXTURE_TEST_CASE(a_mirror_is_measured_and_one_in_use_is_not_removed, setup) {
  BOOST_TEST(!measure_mirror(dir).has_value());
  auto m = open();
  push_over(*m);
  const auto found = measure_mirror(dir);
  BOOST_REQUIRE(found);
  BOOST_TEST(found->name == "mirror");
  BOOST_TEST(found->remote == "id");
  BOOST_TEST(found->bytes > bytes());
  BOOST_TEST(found->bytes < bytes() + (64U << 10U));
  const auto age = std::chrono::system_clock::now() - found->last_used;
  BOOST_TEST((age >= std::chrono::seconds{-1} && age < std::chrono::minutes{10}));
  const auto refused = remove_mirror(dir);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::unavailable));
  check_whole(*m);
  m.reset();
  BOOST_REQUIRE(remove_mirror(dir));
  BOOST_TEST(!measure_mirror(dir).has_value());
  BOOST_TEST(std::distance(fs::directory_iterator{scratch / "."}, fs::directory_iterator{}) == 1, "the origin alone is left");
}

BOOST_FIXTURE_TEST_CASE(a_mirror_that_is_opened_while_it_is_removed_is_there_afterwards, setup) {
  std::atomic<bool> stop{false};
  std::thread remover{[&] {
    for (; !stop; std::this_thread::sleep_for(std::chrono::milliseconds{1})) static_cast<void>(remove_mirror(dir));
  }};
  int opened = 0;
  for (int n = 0; n < 50; ++n) {
    auto m = open_mirror(dir, "id");
    if (!m) {
      BOOST_TEST((m.error().code == ec::unavailable), describe(m.error())); // tried again by the next sync
      continue;
    }
    ++opened;
    BOOST_TEST((*m)->save_index("x").ok());
    BOOST_TEST(fs::exists(dir / "veranda-index"));
  }
  stop = true;
  remover.join();
  BOOST_TEST(opened > 0);
}
