// links: veranda_logic
#define BOOST_TEST_MODULE discovery_rules
#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;

BOOST_AUTO_TEST_CASE(refs_are_split_at_the_last_slash) {
  struct row {
    std::string_view ref;
    parsed_ref wanted;
  };
  const std::vector<row> rows{
      {"refs/tags/a/v1", {ref_kind::tag, "a", "v1"}},
      {"refs/tags/a/b/c/v1", {ref_kind::tag, "a/b/c", "v1"}},
      {"refs/tags/v1.0.0", {}},
      {"refs/heads/drafts/a/b/w", {ref_kind::draft, "a/b", "w"}},
      {"refs/heads/drafts/foo", {ref_kind::draft, "", "foo"}},
      {"refs/heads/proposed/a/w", {ref_kind::proposed, "a", "w"}},
      {"refs/heads/deletionProposed/a/v3", {ref_kind::deletion_proposed, "a", "v3"}},
      {"refs/heads/main", {}},
      {"refs/heads/draftsman/a/b", {}},
      {"refs/pull/1/head", {}},
  };
  for (const row& r : rows)
    BOOST_CHECK_MESSAGE(parse_ref(r.ref) == r.wanted, r.ref);
}

BOOST_AUTO_TEST_CASE(revision_numbers_are_read_as_the_reference_reads_them) {
  const std::vector<std::pair<std::string_view, std::int64_t>> rows{
      {"v3", 3}, {"3", 3}, {"v03", 3}, {"v1.2", -1}, {"main", -1}, {"v0", 0}, {"v-4", -4}, {"+5", 5}, {"v+5", 5}, {"+-5", -1}, {"", -1},
      {"v", -1}, {"vv3", -1}, {"V3", -1}, {"3 ", -1}, {"99999999999999999999", -1}, {"v-1", -1}};
  for (const auto& [text, number] : rows)
    BOOST_CHECK_MESSAGE(revision_number(text) == number, text << " gave " << revision_number(text));
  BOOST_TEST(is_canonical_revision("v3", 3));
  for (const std::string_view other : {"3", "v03", "v+3"})
    BOOST_TEST(!is_canonical_revision(other, 3));
  BOOST_TEST(branch_revision("main") == -1);
  BOOST_TEST(branch_revision("v7") == 7);
  BOOST_TEST(branch_revision("v0") == -1);
  BOOST_TEST(branch_revision("-4") == -1);
}

BOOST_AUTO_TEST_CASE(object_names_and_uids) {
  BOOST_TEST(object_name("repo", "", "pkg", "v1") == "repo.pkg.v1");
  BOOST_TEST(object_name("repo", "a/b", "pkg", "v1") == "repo.a.b.pkg.v1");
  BOOST_TEST(object_name("repo", "", ".pkg.", "main") == "repo.pkg.main");
  BOOST_TEST(object_name("repo", "", "pkg", "feat/x") == "repo.pkg.feat/x");
  BOOST_TEST(object_name("repo", "a", "", "v1").empty());
  BOOST_TEST(object_name("", "a", "p", "v1").empty());
  BOOST_TEST(object_name("repo", "a", "p", "").empty());
  BOOST_TEST(object_uid("my-prefix", "my-namespace", "my.kube.name.of-something") == "272983f7-a30d-58e0-a809-c38e8638666d");
  BOOST_TEST(package_revision_uid("my-namespace", "my-repo.my-package.my-workspace") == "7007e8aa-0928-50f9-b980-92a44942f055");
  BOOST_TEST(package_revision_uid("My-Namespace", "My-Repo.my-package.my-workspace") == "7007e8aa-0928-50f9-b980-92a44942f055");
}

BOOST_AUTO_TEST_CASE(short_refs_directories_and_deletion_names) {
  BOOST_TEST(short_ref("refs/heads/main") == "main");
  BOOST_TEST(short_ref("refs/tags/basens/v2") == "basens/v2");
  BOOST_TEST(short_ref("refs/heads/drafts/a/w") == "drafts/a/w");
  BOOST_TEST(in_directory("a/b", ""));
  BOOST_TEST(in_directory("a/b", "a"));
  BOOST_TEST(in_directory("a", "a"));
  BOOST_TEST(!in_directory("ab/c", "a"));
  BOOST_TEST(!in_directory("a", "a/b"));
  BOOST_TEST(relative_path("a/b/c", "a") == "b/c");
  BOOST_TEST(relative_path("a", "a").empty());
  BOOST_TEST(relative_path("a", "") == "a");
  BOOST_TEST(deletion_name("d/p", 3, "w") == "d/p/v3");
  BOOST_TEST(deletion_name("d/p", -1, "main") == "d/p/main");
}

BOOST_AUTO_TEST_CASE(names_that_cannot_be_kept_and_names_that_others_may_refuse) {
  for (const std::string& good : {std::string{"a"}, std::string{"a/b.c"}, std::string{"grün/Ä"}, std::string{".git2/x"}})
    BOOST_CHECK_MESSAGE(path_problem(good).empty(), good);
  for (const std::string& bad : {std::string{}, std::string{"a//b"}, std::string{"a/../b"}, std::string{"./a"}, std::string{"a\nb"}, std::string{"a\0b", 3},
                                 std::string{"\xff"}, std::string{"\xc0\xaf"}, std::string(5000, 'a')})
    BOOST_CHECK_MESSAGE(!path_problem(bad).empty(), printable(bad));
  BOOST_TEST(name_problem({"a/b", "pkg", 1, "v1"}, "r.a.b.pkg.v1", false).empty());
  BOOST_TEST(name_problem({"", "pkg", -1, "Feat/X"}, "r.pkg.Feat/X", true).empty()); // a branch may be named as it likes
  BOOST_TEST(!name_problem({"", "pkg", 0, "Feat_X"}, "r.pkg.Feat_X", false).empty());
  BOOST_TEST(!name_problem({"", "a.b", 1, "v1"}, "r.a.b.v1", false).empty());
  BOOST_TEST(!name_problem({"A/b", "pkg", 1, "v1"}, "r.A.b.pkg.v1", false).empty());
  BOOST_TEST(!name_problem({"", "pkg", 1, "v1"}, std::string(254, 'a'), false).empty());
}

BOOST_AUTO_TEST_CASE(text_is_shown_and_repaired) {
  BOOST_TEST(printable("a\xffz\n") == "a\\xffz\\x0a");
  BOOST_TEST(printable("grün") == "grün");
  BOOST_TEST(repaired("a\xff") == "a\xef\xbf\xbd");
  for (const std::string_view bad : {"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80"})
    BOOST_TEST(!is_utf8(bad));
  BOOST_TEST(is_utf8("\xf0\x9f\x98\x80"));
}

BOOST_AUTO_TEST_CASE(only_refs_that_matter_are_visible) {
  struct row {
    std::string_view ref;
    bool at_root;
    bool in_a;
  };
  const std::vector<row> rows{
      {"refs/heads/main", true, true},       {"refs/heads/other", false, false},  {"refs/tags/v1", false, false},
      {"refs/tags/a/v1", true, true},        {"refs/tags/a/b/v1", true, true},    {"refs/tags/ab/v1", true, false},
      {"refs/heads/drafts/a/w", true, true}, {"refs/heads/drafts/x", true, false}, {"refs/heads/deletionProposed/b/v1", true, false},
  };
  for (const row& r : rows) {
    BOOST_CHECK_MESSAGE(is_visible(r.ref, "main", "") == r.at_root, r.ref);
    BOOST_CHECK_MESSAGE(is_visible(r.ref, "main", "a") == r.in_a, r.ref);
  }
}

BOOST_AUTO_TEST_CASE(the_basis_changes_with_what_can_be_seen_and_with_nothing_else) {
  const oid one = *oid::parse("1111111111111111111111111111111111111111");
  const oid two = *oid::parse("2222222222222222222222222222222222222222");
  ref_table refs;
  refs.refs = {{"refs/heads/main", one, {}}, {"refs/heads/other", one, {}}, {"refs/tags/a/v1", one, {}}};
  repository_spec spec;
  spec.git.emplace().repo = "https://example.com/r.git";
  const object_key key{"ns", "repo"};
  const sync_basis basis = basis_of(refs, key, spec);
  BOOST_TEST(basis.commit == one.hex());
  BOOST_TEST(basis.digest.size() == 64U);

  ref_table hidden = refs;
  hidden.refs[1].target = two;
  BOOST_TEST(basis_of(hidden, key, spec).digest == basis.digest);
  ref_table moved = refs;
  moved.refs[2].target = two;
  BOOST_TEST(basis_of(moved, key, spec).digest != basis.digest);
  ref_table fewer = refs;
  fewer.refs.pop_back();
  BOOST_TEST(basis_of(fewer, key, spec).digest != basis.digest);

  repository_spec described = spec;
  described.description = "x";
  BOOST_TEST(basis_of(refs, key, described).digest == basis.digest);
  repository_spec elsewhere = spec;
  elsewhere.git->directory = "a";
  BOOST_TEST(basis_of(refs, key, elsewhere).digest != basis.digest);
  BOOST_TEST(basis_of(refs, {"ns", "other"}, spec).digest != basis.digest);
}
