// links: veranda_logic veranda_adapter_kpt
#define BOOST_TEST_MODULE discovery_of_hostile_remotes
#include "tests/support/discovery_fixture.hpp"

using namespace veranda;
using namespace veranda::test;

// What is small in a pack may be huge once it is read.

namespace {

using fixture = discovery_fixture;

/// A chain of directories above `inner`, `depth` deep, each with a name of `length` bytes.
oid nested(memory_objects& objects, oid inner, int depth, std::size_t length) {
  for (int level = 0; level < depth; ++level)
    inner = objects.raw_tree({{"40000", std::string(length, 'n'), inner}});
  return inner;
}

} // namespace

BOOST_FIXTURE_TEST_CASE(a_tree_that_holds_another_twice_at_every_level_ends, fixture) {
  oid tree = objects.tree({{"Kptfile", kptfile("deep")}});
  for (int level = 0; level < 60; ++level)
    tree = objects.raw_tree({{"40000", "a", tree}, {"40000", "b", tree}});
  objects.set_ref("refs/heads/main", objects.commit(tree, {}, {"a@example.com", 1, 1}, "bomb\n"));
  request.limits.max_packages_on_branch = 1'000;
  auto found = discover();
  BOOST_TEST(found.revisions.size() == 1'000U);
  BOOST_TEST(has_bad(found, "refs/heads/main:", "more than 1000 packages"));
  request.limits = {};
  request.limits.max_tree_entries = 10'000;
  request.limits.max_tree_depth = 50;
  found = discover();
  BOOST_TEST(found.revisions.empty());
  BOOST_TEST(has_bad(found, "refs/heads/main:", "more than 10000 entries"));
  BOOST_TEST(found.bad.size() <= logic::bad_items::most_kept);
  BOOST_TEST(found.bad_count > found.bad.size());
}

BOOST_FIXTURE_TEST_CASE(long_names_and_paths_are_left_out, fixture) {
  const oid good = objects.tree({{"Kptfile", kptfile("good")}});
  const oid root = objects.raw_tree({{"40000", std::string(5'000, 'x'), good}, {"40000", "deep", nested(objects, good, 20, 250)}, {"40000", "good", good}});
  objects.set_ref("refs/heads/main", objects.commit(root, {}, {"a@example.com", 1, 1}, "long\n"));
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.good.main"}), boost::test_tools::per_element());
  BOOST_TEST(has_bad(found, "refs/heads/main:", "holds a directory with a name of more than 4096 bytes"));
  BOOST_TEST(std::any_of(found.bad.begin(), found.bad.end(), [](const bad_item& b) { return b.reason.find("path is longer than 4096 bytes") != std::string::npos; }));
  for (const auto& b : found.bad)
    BOOST_TEST(b.what.size() <= logic::bad_items::most_bytes + 3);
}

BOOST_FIXTURE_TEST_CASE(the_paths_of_a_branch_and_of_a_package_have_a_bound, fixture) {
  const oid empty = objects.raw_tree({});
  std::vector<memory_objects::raw_entry> many;
  for (int n = 0; n < 20'000; ++n)
    many.push_back({"40000", "d" + std::to_string(n), empty});
  const oid wide = nested(objects, objects.raw_tree(many), 16, 250);
  objects.set_ref("refs/heads/main", objects.commit(wide, {}, {"a@example.com", 1, 1}, "wide\n"));
  const auto found = discover();
  BOOST_TEST(found.bad_count == 1U);
  BOOST_TEST(has_bad(found, "refs/heads/main:", "take more than 67108864 bytes"));
  logic::bad_items bad;
  BOOST_REQUIRE(logic::list_package(wide, objects, {}, bad).ok());
  BOOST_TEST(bad.count() == 1U);
  BOOST_TEST(bad.take().front().reason == "the paths of the package take more than 67108864 bytes; the rest was left out");
}

BOOST_FIXTURE_TEST_CASE(what_revisions_share_is_counted_for_each, fixture) {
  package("pkg");
  files["pkg/Kptfile"] += "  labels:\n    note: " + std::string(100'000, 'x') + "\n";
  commit("one\n");
  for (int n = 1; n <= 30; ++n)
    tag("pkg/v" + std::to_string(n));
  request.limits.max_metadata_bytes = 1U << 20U;
  request.refs = objects.table();
  const auto all = logic::discover(request, objects, *decoder, index, {});
  const auto changes = logic::discover_changes(request, {}, {}, objects, *decoder, index, {});
  BOOST_REQUIRE(!all.ok());
  BOOST_REQUIRE(!changes.ok());
  for (const failure& f : {all.error(), changes.error()}) {
    BOOST_TEST((f.code == ec::too_large));
    BOOST_TEST(f.what.find("the 31 package revisions, with what their Kptfiles and annotations say, take more than 1048576 bytes of memory") == 0U, f.what);
    BOOST_TEST(f.what.find("--max-metadata-bytes") != std::string::npos);
  }
  request.limits.max_metadata_bytes = 8U << 20U;
  BOOST_TEST(discover().revisions.size() == 31U);
}

BOOST_FIXTURE_TEST_CASE(histories_that_grow_in_memory, fixture) {
  package("pkg");
  const oid first = commit("one\n");
  const oid root = objects.tree(files);
  const oid crowd = objects.commit(root, std::vector<oid>(1'001, first), {"a@example.com", 2, 2}, "crowd\n");
  objects.set_ref("refs/heads/main", objects.commit(root, {crowd}, {"a@example.com", 3, 3}, "three\n"));
  BOOST_TEST(has_bad(discover(), "commit " + crowd.hex(), "has more than 1000 parents", false));
  commit("two\n\n" + annotation("pkg", std::string(20'000, 'w'), "1", "init"));
  request.limits.max_history_bytes = 10'000;
  BOOST_TEST((failure_code() == ec::too_large));
  request.limits.max_history_bytes = 100'000;
  BOOST_TEST(discover().revisions.size() == 1U);
}

/// Every tag has to be told which of 50,000 annotations is its own: minutes of work that reads nothing.
BOOST_FIXTURE_TEST_CASE(a_history_that_takes_for_ever_ends_at_the_deadline, fixture) {
  package("pkg");
  std::string annotations;
  for (int n = 0; n < 500; ++n)
    annotations += annotation("pkg", "w", "", "edit") + "\n";
  const stamp same_time{"a@example.com", 1, 1};
  for (int n = 0; n < 100; ++n)
    commit(std::to_string(n) + "\n\n" + annotations, &same_time);
  for (int n = 1; n <= 3'000; ++n)
    tag("pkg/v" + std::to_string(n));
  request.refs = objects.table();
  cancel_token token;
  const auto began = std::chrono::steady_clock::now();
  token.deadline = began + std::chrono::seconds{3};
  const auto found = logic::discover(request, objects, *decoder, index, token);
  BOOST_REQUIRE(!found.ok());
  BOOST_TEST((found.error().code == ec::timed_out));
  BOOST_TEST((std::chrono::steady_clock::now() - began < std::chrono::seconds{20}));
}

BOOST_AUTO_TEST_CASE(faults_are_counted_and_the_first_are_kept) {
  logic::bad_items bad;
  for (int n = 20'000; n-- > 0;)
    bad.add("refs/tags/" + std::to_string(100'000 + n), std::string(5'000, 'x'), true);
  bad.add("refs/tags/100000", std::string(5'000, 'x'), true); // again
  BOOST_TEST(bad.count() == 20'000U);
  const auto kept = bad.take();
  BOOST_TEST(kept.size() == logic::bad_items::most_kept);
  BOOST_TEST(kept.front().what == "refs/tags/100000");
  BOOST_TEST(kept.back().what == "refs/tags/100999");
  BOOST_TEST(kept.front().reason.size() == logic::bad_items::most_bytes + 3);
}
