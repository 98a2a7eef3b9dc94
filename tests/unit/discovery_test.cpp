// links: veranda_logic veranda_adapter_kpt
#define BOOST_TEST_MODULE discovery
#include "tests/support/discovery_fixture.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

using fixture = discovery_fixture;

} // namespace

BOOST_FIXTURE_TEST_CASE(three_packages_with_published_revisions, fixture) {
  package("basens");
  package("empty");
  package("istions");
  commit("Add packages\n");
  tag("basens/v1");
  tag("empty/v1");
  tag("istions/v1");
  files["basens/ns.yaml"] = "kind: Namespace";
  files["istions/ns.yaml"] = "kind: Namespace";
  commit("More\n");
  tag("basens/v2");
  tag("istions/v2");
  tag("v1.0.0");
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.basens.main", "repo.basens.v1", "repo.basens.v2*", "repo.empty.main", "repo.empty.v1*", "repo.istions.main",
                                   "repo.istions.v1", "repo.istions.v2*"}),
             boost::test_tools::per_element());
  BOOST_TEST(found.bad.empty());
  BOOST_TEST((found.branch_commit == head));
  const auto& v2 = named(found, "repo.basens.v2");
  BOOST_TEST((v2.key == package_revision_key{"", "basens", 2, "v2"}));
  BOOST_TEST((v2.self_lock == git_lock{"https://example.com/r.git", "basens", "basens/v2", head.hex()}));
  BOOST_TEST(v2.ref == "refs/tags/basens/v2");
  BOOST_TEST(!v2.from_branch);
  const auto& tip = named(found, "repo.basens.main");
  BOOST_TEST((tip.key == package_revision_key{"", "basens", -1, "main"}));
  BOOST_TEST(tip.from_branch);
  BOOST_TEST(tip.self_lock.ref == "main");
  BOOST_TEST(tip.published_by.empty()); // no annotation speaks of it
  BOOST_TEST(!tip.published_at.has_value());
}

BOOST_FIXTURE_TEST_CASE(drafts_proposals_and_their_tasks, fixture) {
  package("bucket");
  commit("base\n");
  objects.set_ref("refs/heads/drafts/bucket/w1", commit("draft\n\n" + annotation("bucket", "w1", "", "init")));
  commit("edit\n\n" + annotation("bucket", "w1", "", "eval"));
  objects.set_ref("refs/heads/proposed/bucket/old", commit("old\n\n" + annotation("bucket", "", "old", "clone")));
  objects.set_ref("refs/heads/drafts/bucket/none", head);
  objects.set_ref("refs/heads/drafts/gone/w", head);
  objects.set_ref("refs/heads/drafts/stray", head);
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.bucket.main", "repo.bucket.none", "repo.bucket.old", "repo.bucket.w1"}), boost::test_tools::per_element());
  BOOST_TEST(named(found, "repo.bucket.w1").task_json == R"({"type":"init"})");
  BOOST_TEST(named(found, "repo.bucket.old").task_json == R"({"type":"clone"})");
  BOOST_TEST(named(found, "repo.bucket.none").task_json.empty());
  BOOST_TEST((named(found, "repo.bucket.w1").lifecycle == lifecycle::draft));
  BOOST_TEST((named(found, "repo.bucket.old").lifecycle == lifecycle::proposed));
  BOOST_TEST(named(found, "repo.bucket.w1").key.revision == 0);
  BOOST_TEST(has_bad(found, "refs/heads/drafts/stray", "no package path"));
  BOOST_TEST(has_bad(found, "refs/heads/drafts/gone/w", "no Kptfile"));
  BOOST_TEST(found.bad.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(nested_packages_and_a_directory, fixture) {
  package("catalog/gcp/bucket");
  package("catalog/gcp/bucket/inner");
  package("catalog/spanner");
  package("root");
  commit("nested\n\n" + annotation("catalog/gcp/bucket", "ws-1", "1"));
  tag("catalog/gcp/bucket/v1");
  tag("catalog/gcp/bucket/inner/v1");
  tag("root/v1");
  objects.set_ref("refs/heads/deletionProposed/catalog/gcp/bucket/v1", head);
  objects.set_ref("refs/heads/deletionProposed/catalog/gcp/bucket/main", head);
  request.directory = "catalog/gcp";
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.bucket.inner.v1*", "repo.bucket.main", "repo.bucket.ws-1*"}), boost::test_tools::per_element());
  const auto& bucket = named(found, "repo.bucket.ws-1");
  BOOST_TEST((bucket.lifecycle == lifecycle::deletion_proposed));
  BOOST_TEST((named(found, "repo.bucket.main").lifecycle == lifecycle::deletion_proposed));
  BOOST_TEST(named(found, "repo.bucket.main").published_by == "a@example.com");
  BOOST_TEST(bucket.self_lock.directory == "bucket"); // relative to the repository's directory, as Porch reports it
  BOOST_TEST(bucket.self_lock.ref == "catalog/gcp/bucket/v1");
  request.directory = "nonexistent";
  const auto nothing = discover();
  BOOST_TEST(nothing.revisions.empty());
  BOOST_TEST(nothing.directory_missing);
  BOOST_TEST((nothing.branch_commit == head));
}

BOOST_FIXTURE_TEST_CASE(annotated_tags_are_peeled_once, fixture) {
  package("pkg");
  commit("one\n");
  tag("pkg/v1");
  const oid annotated = objects.tag(head, "commit", "pkg/v2");
  objects.set_ref("refs/tags/pkg/v2", annotated);
  objects.set_ref("refs/tags/pkg/v3", objects.tag(annotated, "tag", "pkg/v3"));
  objects.set_ref("refs/tags/pkg/v4", objects.tree(files));
  objects.set_ref("refs/tags/pkg/v5", objects.blob("x"));
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.pkg.main", "repo.pkg.v1", "repo.pkg.v2*"}), boost::test_tools::per_element());
  BOOST_TEST((named(found, "repo.pkg.v2").commit == head));
  BOOST_TEST(has_bad(found, "refs/tags/pkg/v3", "tag of a tag"));
  BOOST_TEST(has_bad(found, "refs/tags/pkg/v4", "points to a tree"));
  BOOST_TEST(has_bad(found, "refs/tags/pkg/v5", "points to a blob"));
}

BOOST_FIXTURE_TEST_CASE(who_published_and_when, fixture) {
  package("pkg");
  const stamp first{"first@example.com", 1'500'000'000, 1'700'000'100};
  commit("one\n\nkpt:{invalid:annotation}\n" + annotation("pkg", "v1", "1"), &first);
  tag("pkg/v1");
  const stamp second{"second@example.com", 1'400'000'000, 1'700'000'200};
  commit("unrelated\n\n" + annotation("other", "w", "1"), &second);
  tag("pkg/v2");
  const stamp odd{"odd\xff@example.com", 9'000'000'000'000, 1'700'000'300};
  commit("odd\n", &odd);
  tag("pkg/v3");
  const auto found = discover();
  const auto seconds = [&](std::string_view name) { return std::chrono::duration_cast<std::chrono::seconds>(named(found, name).published_at->time_since_epoch()).count(); };
  BOOST_TEST(named(found, "repo.pkg.v1").published_by == "first@example.com");
  BOOST_TEST(seconds("repo.pkg.v1") == 1'500'000'000);
  BOOST_TEST(named(found, "repo.pkg.v2").published_by == "second@example.com");
  BOOST_TEST(seconds("repo.pkg.v2") == 1'400'000'000);
  BOOST_TEST(named(found, "repo.pkg.main").published_by == "first@example.com"); // the newest that speaks of the package
  BOOST_TEST(named(found, "repo.pkg.v3").published_by == "odd\xef\xbf\xbd@example.com");
  BOOST_TEST(!named(found, "repo.pkg.v3").published_at.has_value());
}

BOOST_FIXTURE_TEST_CASE(bad_items_are_isolated_and_named, fixture) {
  package("good");
  package("a.b");
  package("a/b");
  package("bad\x01");
  files["broken/Kptfile"] = "{";
  files["dir/Kptfile/below/Kptfile"] = kptfile("p");
  commit("odd things\n");
  for (const char* name : {"good/v1", "good/1", "good/v0", "good/v-4", "good/v99999999999", "good/release-a", "good/v2"})
    tag(name);
  objects.set_ref("refs/heads/drafts/good/v2", head);
  objects.set_ref("refs/heads/drafts/good/Upper", head);
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.a.b.main", "repo.broken.main", "repo.dir.Kptfile.below.main", "repo.good.Upper", "repo.good.main",
                                   "repo.good.release-a", "repo.good.v1", "repo.good.v2*"}),
             boost::test_tools::per_element());
  BOOST_TEST(named(found, "repo.good.v1").ref == "refs/tags/good/v1");
  BOOST_TEST((named(found, "repo.good.v2").lifecycle == lifecycle::published));
  BOOST_TEST(has_bad(found, "refs/tags/good/1", "same object name"));
  BOOST_TEST(has_bad(found, "refs/heads/drafts/good/v2", "same object name"));
  BOOST_TEST(has_bad(found, "refs/tags/good/v0", "number 0"));
  BOOST_TEST(has_bad(found, "refs/tags/good/v-4", "number -4"));
  BOOST_TEST(has_bad(found, "refs/tags/good/v99999999999", "99999999999"));
  BOOST_TEST(has_bad(found, "refs/heads/main:a/b", "same object name") != has_bad(found, "refs/heads/main:a.b", "same object name"));
  BOOST_TEST(has_bad(found, "refs/heads/main:bad\\x01", "control characters"));
  BOOST_TEST(has_bad(found, "refs/heads/main:broken/Kptfile", "not valid YAML", false));
  BOOST_TEST(!named(found, "repo.broken.main").kptfile.problem.empty());
  BOOST_TEST(has_bad(found, "refs/heads/main:dir", "no package"));
  BOOST_TEST(has_bad(found, "refs/heads/drafts/good/Upper", "workspace name", false));
}

BOOST_FIXTURE_TEST_CASE(a_kptfile_at_the_root_hides_nothing, fixture) {
  files["Kptfile"] = kptfile("root");
  package("pkg");
  commit("one\n");
  tag("pkg/v1");
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.pkg.main", "repo.pkg.v1*"}), boost::test_tools::per_element());
  BOOST_TEST(has_bad(found, "refs/heads/main:Kptfile", "no name"));
}

BOOST_FIXTURE_TEST_CASE(any_branch_name_is_a_branch_and_a_missing_one_is_no_fault, fixture) {
  package("pkg");
  commit("one\n");
  tag("pkg/v1");
  objects.set_ref("refs/heads/Feat/x_1.2", head);
  request.branch = "Feat/x_1.2";
  BOOST_TEST(names(discover()) == (list{"repo.pkg.Feat/x_1.2", "repo.pkg.v1*"}), boost::test_tools::per_element());
  objects.set_ref("refs/heads/v7", head);
  request.branch = "v7";
  const auto numbered = discover();
  BOOST_TEST(names(numbered) == (list{"repo.pkg.v1", "repo.pkg.v7*"}), boost::test_tools::per_element());
  BOOST_TEST(named(numbered, "repo.pkg.v7").key.revision == 7);
  request.branch = "absent";
  const auto without = discover();
  BOOST_TEST(names(without) == (list{"repo.pkg.v1*"}), boost::test_tools::per_element());
  BOOST_TEST(without.branch_commit.is_zero());
  BOOST_TEST(!without.directory_missing);
  BOOST_TEST(without.bad.empty());
}

BOOST_FIXTURE_TEST_CASE(a_missing_object_fails_the_whole_and_is_looked_for_again, fixture) {
  package("pkg");
  const oid first = commit("one\n");
  const oid blob = objects.blob(kptfile("p"));
  commit("two\n");
  tag("pkg/v1");
  const std::string kept_commit = objects.peek(first)->data;
  objects.forget(first);
  BOOST_TEST((failure_code() == ec::not_found));
  objects.add(logic::git_object_type::commit, kept_commit);
  objects.forget(blob);
  BOOST_TEST((failure_code() == ec::not_found));
  objects.blob(kptfile("p"));
  BOOST_TEST(discover().revisions.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(malformed_and_large_objects_are_isolated, fixture) {
  package("pkg");
  commit("one\n");
  tag("pkg/v1");
  const oid bad_tree = objects.add(logic::git_object_type::tree, "40000 nonsense");
  const oid pkg_tree = objects.tree({{"Kptfile", kptfile("p")}});
  const oid root = objects.sorted_tree({{"40000", "bad", bad_tree}, {"40000", "pkg", pkg_tree}, {"160000", "module", oid{{1}}}, {"120000", "link", objects.blob("pkg")}});
  const oid broken_commit = objects.add(logic::git_object_type::commit, "no commit at all");
  head = objects.commit(root, {head, broken_commit}, {"a@example.com", clock, clock + 1}, "two\n");
  objects.set_ref("refs/heads/main", head);
  tag("bad/v1");
  const auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.pkg.main", "repo.pkg.v1*"}), boost::test_tools::per_element());
  BOOST_TEST(has_bad(found, "refs/heads/main:bad", "malformed tree"));
  BOOST_TEST(has_bad(found, "refs/tags/bad/v1", "malformed tree"));
  BOOST_TEST(has_bad(found, "commit " + broken_commit.hex(), "not a well-formed commit", false));
  BOOST_TEST((discover().bad == found.bad));
  objects.set_ref("refs/heads/main", broken_commit);
  BOOST_TEST((failure_code() == ec::unsupported));
}

BOOST_FIXTURE_TEST_CASE(limits_isolate_and_a_change_of_limits_forgets, fixture) {
  package("a/b/c/deep");
  package("one");
  package("two");
  files["one/Kptfile"] += "# " + std::string(5000, 'x');
  commit("one\n");
  request.limits.max_object_bytes = 4000;
  request.limits.max_tree_depth = 2;
  auto found = discover();
  BOOST_TEST(names(found) == (list{"repo.one.main", "repo.two.main"}), boost::test_tools::per_element());
  BOOST_TEST(has_bad(found, "refs/heads/main:one/Kptfile", "larger than 4000", false));
  BOOST_TEST(has_bad(found, "refs/heads/main:a/b/c", "deeper than 2"));
  request.limits = {};
  found = discover();
  BOOST_TEST(found.revisions.size() == 3U);
  BOOST_TEST(found.bad.empty());
  request.limits.max_packages_on_branch = 2;
  BOOST_TEST(discover().revisions.size() == 2U);
}

BOOST_FIXTURE_TEST_CASE(an_expired_token_stops_it, fixture) {
  package("pkg");
  commit("one\n");
  request.refs = objects.table();
  cancel_token token;
  token.stop = true;
  const auto found = logic::discover(request, objects, *decoder, index, token);
  BOOST_REQUIRE(!found.ok());
  BOOST_TEST((found.error().code == ec::cancelled));
}

BOOST_FIXTURE_TEST_CASE(an_index_survives_a_restart_and_damage_is_noticed, fixture) {
  package("pkg");
  commit("one\n\n" + annotation("pkg", "w", "1", "init"));
  tag("pkg/v1");
  const auto before = discover();
  BOOST_TEST(index.changed());
  const std::string image = index.save();
  auto loaded = logic::discovery_index::load(image);
  BOOST_REQUIRE(loaded.ok());
  index = std::move(*loaded);
  objects.clear_reads();
  BOOST_TEST((discover().revisions == before.revisions));
  BOOST_TEST(objects.reads().empty());
  BOOST_TEST(index.objects_read() == 0U);
  BOOST_TEST(!index.changed());
  for (std::size_t at = 0; at < image.size(); ++at) {
    std::string damaged = image;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    BOOST_REQUIRE(!logic::discovery_index::load(damaged).ok());
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{7}, image.size() - 1})
    BOOST_TEST((logic::discovery_index::load(std::string_view{image}.substr(0, length)).error().code == ec::corrupt_cache));
}

BOOST_FIXTURE_TEST_CASE(the_files_of_a_package, fixture) {
  const oid text = objects.blob("text");
  const oid inner = objects.tree({{"Kptfile", kptfile("inner")}, {"b.yaml", "b"}});
  const oid root = objects.raw_tree({{"100644", "Kptfile", text}, {"100755", "run.sh", text}, {"120000", "link", text}, {"160000", "module", oid{{1}}},
                                     {"40000", "inner", inner}, {"100664", "old", text}, {"100644", "big", objects.blob(std::string(100, 'x'))},
                                     {"100644", "..", text}, {"40000", ".GIT", inner}, {"100644", "bad\xff", text}, {"100644", "Kptfile", inner}, {"100644", "run.sh", text}});
  logic::discovery_limits limits;
  limits.max_resource_bytes = 64;
  logic::bad_items bad;
  const auto listed = logic::list_package(root, objects, limits, bad);
  BOOST_REQUIRE(listed.ok());
  std::string all;
  for (const package_file& f : listed->files)
    all += f.path + ':' + std::to_string(static_cast<int>(f.kind)) + ':' + std::to_string(f.size_bytes) + ' ';
  BOOST_TEST(all == "Kptfile:0:4 big:3:100 inner/Kptfile:0:" + std::to_string(kptfile("inner").size()) + " inner/b.yaml:0:1 link:2:4 old:0:4 run.sh:1:4 ");
  list reported;
  for (const bad_item& b : bad.take()) {
    BOOST_TEST(!b.excluded);
    reported.push_back(b.what);
  }
  std::sort(reported.begin(), reported.end());
  BOOST_TEST(reported == (list{"..", ".GIT", "Kptfile", "bad\\xff", "big", "run.sh"}), boost::test_tools::per_element());

  limits.max_files_per_package = 2;
  BOOST_TEST(logic::list_package(root, objects, limits, bad)->files.size() == 2U);
  objects.forget(text);
  BOOST_TEST((logic::list_package(root, objects, {}, bad).error().code == ec::not_found));
}
