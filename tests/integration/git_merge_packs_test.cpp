// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_merge_packs
#include "adapters/git/disk_mirror.hpp"
#include "tests/support/git_repository.hpp"

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>

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
  /// One commit, one fetch, one pack. Files grow at their end, so that most objects are deltas.
  void grow(mirror& m, int times) {
    for (; times > 0; --times) {
      content += "line " + std::to_string(++commits) + " of a file that is long enough to be worth a delta\n";
      origin.commit("a/file-" + std::to_string(commits % 3), content);
      const remote_endpoint remote{origin.url(), {}};
      const auto listed = list_refs(remote, {"refs/heads/"}, {}, limits, cancel);
      BOOST_REQUIRE(listed);
      BOOST_REQUIRE(fetch(m, remote, *listed->refs, limits, cancel, false, {}));
      BOOST_REQUIRE(m.settle());
    }
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
  std::string noise;
  for (std::uint32_t n = 1; noise.size() < (256U << 10U); n = n * 1664525U + 1013904223U) noise += static_cast<char>(n >> 24U);
  origin.commit("large", noise);
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
