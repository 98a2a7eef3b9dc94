// links: veranda_adapter_git veranda_adapter_kpt veranda_logic veranda_model
#define BOOST_TEST_MODULE git_bomb
#include "actors/logic/discovery/discovery.hpp"
#include "adapters/git/pack_writer.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/support/git_repository.hpp"

#include <boost/test/unit_test.hpp>
#include <limits>
#include <map>
#include <sstream>
#include <sys/resource.h>

using namespace veranda;
using namespace veranda::git;
using veranda::test::scratch_dir;
using veranda::test::shell;

namespace {

namespace fs = std::filesystem;

/// Highest memory of this process until now.
std::uint64_t peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) << 10U;
}

std::string read_all(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// What `bomb_packs.py` makes, once.
struct bomb_packs {
  scratch_dir scratch;
  std::map<std::string, oid> ids;

  bomb_packs() {
    const auto script = fs::path{VERANDA_TEST_DATA}.parent_path() / "support" / "bomb_packs.py";
    std::istringstream lines{shell("python3 '" + script.string() + "' '" + scratch.path().string() + "'")};
    for (std::string name, id; lines >> name >> id;) ids.emplace(name, *oid::parse(id));
  }
  static const bomb_packs& made() {
    static const bomb_packs packs;
    return packs;
  }
};

struct setup {
  const bomb_packs& packs = bomb_packs::made();
  const std::map<std::string, oid>& ids = packs.ids;
  scratch_dir scratch;
  transport_limits limits;
  cancel_token cancel;
  std::unique_ptr<disk_mirror> mirror;
  const std::uint64_t before = peak_bytes();

  setup() { open_with(256U << 20U); }
  void open_with(std::uint64_t max_object_memory) {
    limits.max_object_memory = max_object_memory;
    mirror.reset();
    auto opened = disk_mirror::open(scratch / "mirror", "id", max_object_memory);
    BOOST_REQUIRE(opened);
    mirror = *std::move(opened);
  }
  result<void> take(const std::string& pack) {
    pack_writer writer{*mirror, limits, none_};
    if (auto taken = writer.append(read_all(packs.scratch / pack)); !taken) return taken;
    return writer.commit(cancel);
  }
  /// The objects together inflate to 1.4 GiB.
  void check_peak() const { BOOST_TEST(peak_bytes() - before < 450U << 20U); }
  std::size_t files() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator{mirror->pack_dir()}, fs::directory_iterator{})); }

  const pack_writer::progress_function none_;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(huge_objects_are_refused_before_memory_is_spent, setup) {
  const auto taken = take("objects.pack"); // streamed: whole objects may be of any size, as an image in a repository is
  BOOST_REQUIRE_MESSAGE(taken, (taken ? "" : describe(taken.error())));
  for (const char* name : {"kptfile", "tree", "commit", "tag"}) {
    const auto read = mirror->objects().read(ids.at(name), 16U << 20U);
    BOOST_TEST_REQUIRE(!read.ok(), name);
    BOOST_TEST((read.error().code == ec::too_large), describe(read.error()));
    BOOST_TEST(read.error().what.find(ids.at(name).hex() + " is larger than 16777216 bytes") != std::string::npos);
  }
  BOOST_TEST((mirror->objects().read(ids.at("large"), 16U << 20U).error().code == ec::too_large));
  BOOST_TEST(mirror->objects().read(ids.at("large"), 18U << 20U).ok());
  BOOST_TEST(mirror->objects().header(ids.at("kptfile"))->size_bytes > 512U << 20U);
  check_peak();
}

BOOST_FIXTURE_TEST_CASE(a_sync_names_them_and_finds_the_rest, setup) {
  BOOST_REQUIRE(take("objects.pack"));
  ref_table table;
  table.refs = {{"refs/heads/drafts/good/commit", ids.at("commit"), {}}, {"refs/heads/drafts/huge/w", ids.at("good"), {}}, {"refs/heads/main", ids.at("good"), {}},
                {"refs/tags/bomb/v1", ids.at("good"), {}},    {"refs/tags/good/v1", ids.at("good"), {}},    {"refs/tags/good/v2", ids.at("tag"), {}}};
  const logic::discovery_request request{{"ns", "name"}, "https://example.com/x.git", "main", "", std::make_shared<const ref_table>(table), {}};
  const auto decoder = kpt::make_decoder();
  logic::discovery_index index;
  const auto found = logic::discover(request, mirror->objects(), *decoder, index, cancel);
  BOOST_REQUIRE_MESSAGE(found, (found ? "" : describe(found.error())));
  std::map<std::string, std::string> bad;
  for (const auto& item : found->bad) bad.emplace(item.what, item.reason);
  const std::string large = "is larger than 16777216 bytes";
  for (const auto& [where, reason] : bad) BOOST_TEST_MESSAGE(where << ": " << reason);
  BOOST_TEST(bad["refs/heads/drafts/good/commit"] == large);
  BOOST_TEST(bad["refs/heads/drafts/huge/w"] == "its package " + large);
  BOOST_TEST(bad["refs/tags/good/v2"] == large);
  BOOST_TEST(bad["refs/heads/main:huge"] == large);
  BOOST_TEST(bad["refs/heads/main:bomb/Kptfile"] == "the Kptfile cannot be used: " + large);
  BOOST_TEST(bad["refs/tags/bomb/v1:Kptfile"] == "the Kptfile cannot be used: " + large);
  BOOST_TEST(bad.size() == 6U);
  std::vector<std::string> names;
  for (const auto& r : found->revisions) names.push_back(r.name);
  const std::vector<std::string> wanted{"name.bomb.main", "name.bomb.v1", "name.good.main", "name.good.v1"};
  BOOST_TEST(names == wanted, boost::test_tools::per_element());
  check_peak();
}

BOOST_FIXTURE_TEST_CASE(a_pack_that_claims_many_objects_is_refused, setup) {
  pack_writer writer{*mirror, limits, none_};
  BOOST_REQUIRE(writer.append(std::string{"PACK\0\0\0\2\1\0\0\0", 12} + std::string(20, '\0')));
  const auto taken = writer.commit(cancel);
  BOOST_REQUIRE(!taken);
  BOOST_TEST((taken.error().code == ec::too_large), describe(taken.error()));
  BOOST_TEST(files() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_difference_that_grows_is_refused, setup) {
  for (const char* pack : {"delta.pack", "thin.pack"}) {
    if (std::string_view{pack} == "thin.pack") BOOST_REQUIRE(take("objects.pack")); // it has the huge base
    const auto files_before = files();
    const auto packs_before = mirror->pack_count();
    const auto taken = take(pack);
    BOOST_TEST_REQUIRE(!taken.ok(), pack);
    BOOST_TEST((taken.error().code == ec::too_large), describe(taken.error()));
    BOOST_TEST(taken.error().what.find("more than 268435456 bytes of memory to be made; raise --max-object-memory") != std::string::npos);
    BOOST_TEST(files() == files_before); // no debris
    BOOST_TEST(mirror->pack_count() == packs_before);
  }
  BOOST_TEST(take("plain.pack").ok());
  check_peak();
}

BOOST_FIXTURE_TEST_CASE(a_history_of_large_files_is_read_once_the_limit_is_raised, setup) {
  const auto refused = [](const failure& f) {
    BOOST_TEST((f.code == ec::too_large), describe(f));
    BOOST_TEST(f.what.find("--max-object-memory") != std::string::npos, f.what);
  };
  open_with(64U << 20U);
  const auto taken = take("history.pack");
  BOOST_TEST_REQUIRE(!taken.ok());
  refused(taken.error());
  open_with(256U << 20U);
  BOOST_REQUIRE(take("history.pack"));
  const auto read = mirror->objects().read(ids.at("small"), 16U << 20U); // small, though not in memory
  BOOST_TEST_REQUIRE(read.ok(), (read ? "" : describe(read.error())));
  BOOST_TEST((read->data == std::string(100, '\0')));
  open_with(64U << 20U);
  const auto unread = mirror->objects().read(ids.at("small"), 16U << 20U);
  BOOST_TEST_REQUIRE(!unread.ok());
  refused(unread.error());
  BOOST_TEST(mirror->objects().read(ids.at("small"), std::numeric_limits<std::uint64_t>::max()).ok()); // who allows any size allows its memory
  check_peak();
}

BOOST_FIXTURE_TEST_CASE(the_number_of_objects_is_a_limit_with_a_name, setup) {
  limits.max_pack_objects = 1;
  const auto taken = take("plain.pack");
  BOOST_TEST_REQUIRE(!taken.ok());
  BOOST_TEST(taken.error().what.find("--max-pack-objects") != std::string::npos, taken.error().what);
}
