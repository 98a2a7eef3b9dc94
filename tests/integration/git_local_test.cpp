// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_local
#include "tests/support/mirrored_repository.hpp"

#include <fstream>
#include <iostream>
#include <sys/stat.h>
#include <unistd.h>

using namespace veranda;
using namespace veranda::git;
using namespace veranda::test;

BOOST_FIXTURE_TEST_CASE(first_fetch_and_nothing_new, mirrored_repository) {
  const auto first = origin.commit("a/Kptfile", "one");
  origin.git("tag -a -m t a/v1");
  origin.git("branch drafts/a/w");
  auto m = open();
  BOOST_TEST(m->refs()->refs.empty());
  const auto listed = list();
  BOOST_TEST(listed.refs->refs.size() == 3U);
  BOOST_TEST(listed.refs->head_target == "refs/heads/main");
  BOOST_TEST((listed.protocol == protocol_version::v2));
  BOOST_TEST((listed.refs->find("refs/tags/a/v1")->peeled == id_of(first)));
  const auto report = bring(*m);
  BOOST_TEST(report.pack_received);
  BOOST_TEST(report.objects == 5U);
  BOOST_TEST((*m->refs() == *listed.refs));
  BOOST_TEST(m->pack_count() == 1U);
  check_like_git(*m);
  check_no_debris();
  const auto again = list(listed.digest);
  BOOST_TEST(again.digest == listed.digest);
  BOOST_TEST(!again.refs);
  BOOST_TEST(!bring(*m).pack_received);
  m = nullptr;
  BOOST_TEST((*open()->refs() == *listed.refs)); // from disk
}

BOOST_FIXTURE_TEST_CASE(objects_are_read, mirrored_repository) {
  const auto commit = origin.commit("f", "contents");
  auto m = open();
  bring(*m);
  const auto read = m->objects().read(id_of(commit));
  BOOST_REQUIRE(read);
  BOOST_TEST((read->type == logic::git_object_type::commit));
  BOOST_TEST(read->data.starts_with("tree "));
  const auto blob = id_of(origin.git("rev-parse HEAD:f"));
  BOOST_TEST(m->objects().read(blob)->data == "contents");
  BOOST_TEST(m->objects().header(blob)->size_bytes == 8U);
  BOOST_TEST((m->objects().header(blob)->type == logic::git_object_type::blob));
  const auto absent = id_of(std::string(40, 'a'));
  BOOST_TEST((m->objects().read(absent).error().code == ec::not_found));
  BOOST_TEST((m->objects().header(absent).error().code == ec::not_found));
  BOOST_TEST(!m->contains(absent));
  BOOST_TEST(m->contains(blob));
}

BOOST_FIXTURE_TEST_CASE(later_commits_come_as_small_packs, mirrored_repository) {
  std::string big;
  for (int i = 0; i < 5'000; ++i) big += std::to_string(i * 7919) + "\n";
  origin.commit("big", big);
  auto m = open();
  bring(*m);
  origin.commit("big", big + "one more\n"); // a thin delta against what the mirror has
  origin.git("tag a/v1");
  const auto report = bring(*m);
  BOOST_TEST(report.pack_received);
  BOOST_TEST(report.objects <= 4U);
  BOOST_TEST(report.received_bytes < 2'000U);
  BOOST_TEST(m->pack_count() == 2U);
  check_like_git(*m);
}

BOOST_FIXTURE_TEST_CASE(forced_deleted_and_moved_refs, mirrored_repository) {
  origin.commit("f", "1");
  origin.git("branch gone");
  origin.git("tag a/v1");
  auto m = open();
  bring(*m);
  origin.git("commit -q --amend -m other");
  origin.git("branch -D gone");
  origin.git("tag -f a/v1");
  bring(*m);
  BOOST_TEST(m->refs()->find("refs/heads/gone") == nullptr);
  check_like_git(*m);
}

BOOST_FIXTURE_TEST_CASE(emptied_and_created_anew, mirrored_repository) {
  origin.commit("f", "1");
  auto m = open();
  bring(*m);
  const auto full = list();
  shell("rm -rf '" + origin.url() + "'");
  const git_repository anew{origin.dir()};
  const auto empty = list();
  BOOST_TEST(empty.refs->refs.empty());
  BOOST_TEST(empty.digest != full.digest);
  BOOST_TEST(!bring(*m).pack_received);
  BOOST_TEST(m->refs()->refs.empty());
  m = nullptr;
  m = open();
  BOOST_TEST(m->refs()->refs.empty());
  anew.commit("other", "history");
  bring(*m);
  check_like_git(*m);
}

BOOST_FIXTURE_TEST_CASE(only_what_was_asked_for, mirrored_repository) {
  origin.commit("f", "1");
  for (const char* b : {"main2", "main/x", "drafts/a/w", "feature"})
    if (std::string{b} != "main/x") origin.git(std::string{"branch "} + b);
  origin.git("tag x/v1");
  prefixes = {"refs/heads/main", "refs/heads/drafts/"};
  const auto l = list();
  BOOST_REQUIRE(l.refs->refs.size() == 2U);
  BOOST_TEST(l.refs->refs[0].name == "refs/heads/drafts/a/w");
  BOOST_TEST(l.refs->refs[1].name == "refs/heads/main");
}

BOOST_FIXTURE_TEST_CASE(ten_thousand_refs, mirrored_repository) {
  const auto commit = origin.commit("f", "1");
  std::ofstream packed{origin.dir() / ".git" / "packed-refs"};
  packed << "# pack-refs with: peeled fully-peeled sorted \n";
  for (int i = 10'000; i < 20'000; ++i) packed << commit << " refs/tags/p" << i << "/v1\n";
  packed.close();
  auto m = open();
  bring(*m);
  BOOST_TEST(m->refs()->refs.size() == 10'001U);
  check_like_git(*m);
  limits.max_refs = 10'000;
  const auto refused = list_refs(remote(), prefixes, {}, limits, cancel);
  BOOST_REQUIRE(!refused);
  BOOST_TEST((refused.error().code == ec::too_large));
}

BOOST_FIXTURE_TEST_CASE(more_tips_than_one_request_takes, mirrored_repository) {
  std::ofstream script{scratch / "import"};
  for (int i = 0; i < 16'000; ++i)
    script << "commit refs/heads/b" << i << "\ncommitter a <a@example.com> " << 1'000'000 + i << " +0000\ndata 1\nx\n\n";
  script.close();
  origin.git("fast-import --quiet < '" + (scratch / "import").string() + "'");
  auto m = open();
  bring(*m);
  BOOST_TEST(m->pack_count() == 2U);
  check_like_git(*m);
}

BOOST_FIXTURE_TEST_CASE(another_users_repository, mirrored_repository) {
  origin.commit("f", "1");
  if (::geteuid() != 0) {
    std::cout << "SKIPPED: only root can give a repository to another user\n";
    return;
  }
  shell("chown -R 12345:12345 '" + origin.url() + "'");
  BOOST_TEST(list().refs->refs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(what_is_no_repository, mirrored_repository) {
  struct row {
    std::string path;
    ec expected;
  };
  shell("mkdir '" + (scratch / "plain").string() + "'; git init -q --bare --object-format=sha256 '" + (scratch / "sha256").string() + "'");
  const row rows[] = {{(scratch / "absent").string(), ec::not_found},
                      {(scratch / "plain").string(), ec::not_found},
                      {(scratch / "sha256").string(), ec::unsupported},
                      {"relative/path", ec::invalid_spec},
                      {"/a/../b", ec::invalid_spec},
                      {"ssh://git@example.com/x", ec::unsupported},
                      {"ftp://example.com/x", ec::invalid_spec}};
  for (const auto& r : rows) {
    const auto l = list_refs({r.path, {}}, prefixes, {}, limits, cancel);
    BOOST_REQUIRE(!l);
    BOOST_TEST((l.error().code == r.expected), r.path << ": " << l.error().what);
  }
}

BOOST_FIXTURE_TEST_CASE(a_path_that_looks_like_an_option, mirrored_repository) {
  const git_repository odd{scratch / "--upload-pack=x"};
  odd.commit("f", "1");
  BOOST_TEST(list_refs({odd.url(), {}}, prefixes, {}, limits, cancel)->refs->refs.size() == 1U);
  BOOST_TEST(list_refs({"file://" + odd.url(), {}}, prefixes, {}, limits, cancel)->refs->refs.size() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_damaged_remote_changes_nothing, mirrored_repository) {
  origin.commit("f", "1");
  auto m = open();
  bring(*m);
  const auto before = m->refs();
  origin.commit("g", "2");
  const auto blob = origin.git("rev-parse HEAD:g");
  const auto target = list();
  shell("chmod -R u+w '" + origin.url() + "'; rm '" + origin.url() + "/.git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2) + "'");
  const auto report = fetch(*m, remote(), *target.refs, limits, cancel, false, {});
  BOOST_REQUIRE(!report);
  BOOST_TEST((report.error().code == ec::unavailable), report.error().what);
  BOOST_TEST((*m->refs() == *before));
  BOOST_TEST(m->pack_count() == 1U);
  check_no_debris();
}

BOOST_FIXTURE_TEST_CASE(a_tip_that_the_server_does_not_have, mirrored_repository) {
  origin.commit("f", "1");
  auto m = open();
  ref_table target = *list().refs;
  target.refs[0].target = id_of(std::string(40, 'b'));
  const auto report = fetch(*m, remote(), target, limits, cancel, false, {});
  BOOST_REQUIRE(!report);
  BOOST_TEST((report.error().code == ec::conflict), report.error().what);
  BOOST_TEST(m->refs()->refs.empty());
}

BOOST_FIXTURE_TEST_CASE(a_missing_object_is_fetched_again_without_haves, mirrored_repository) {
  origin.commit("f", "1");
  auto m = open();
  bring(*m);
  origin.commit("f", "2");
  bring(*m);
  m.reset();
  // The first pack is lost, the second stands on it.
  const auto lost = id_of(origin.git("rev-parse HEAD~1"));
  for (const auto& entry : std::filesystem::directory_iterator(dir / "objects" / "pack"))
    if (entry.path().extension() == ".idx" && shell("git show-index < '" + entry.path().string() + "'").find(lost.hex()) != std::string::npos)
      std::filesystem::remove(entry.path());
  m = nullptr;
  m = open();
  BOOST_TEST(!m->contains(lost));
  BOOST_TEST(bring(*m, true).pack_received);
  BOOST_TEST(m->contains(lost));
  check_like_git(*m);
}

BOOST_FIXTURE_TEST_CASE(a_mirror_has_one_user, mirrored_repository) {
  {
    const auto m = open();
    BOOST_TEST((open_mirror(dir, "id").error().code == ec::unavailable));
    BOOST_TEST((remove_mirror(dir).error().code == ec::unavailable));
    BOOST_TEST(std::filesystem::exists(dir / "objects"));
  }
  open();
  BOOST_TEST(remove_mirror(dir).ok());
  BOOST_TEST(!std::filesystem::exists(dir));
  BOOST_TEST(remove_mirror(dir).ok());
}

BOOST_FIXTURE_TEST_CASE(a_removal_leaves_no_half_of_a_mirror, mirrored_repository) {
  std::filesystem::create_directories(dir.string() + ".gone-0/objects"); // cut off before
  open();
  BOOST_TEST(remove_mirror(dir).ok());
  open();
  BOOST_TEST(remove_mirror(dir.string() + ".gone-0").ok());
  for (const auto& entry : std::filesystem::directory_iterator{dir.parent_path()}) BOOST_TEST(entry.path().string().find(".gone-") == std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(opening_scrubs_and_checks, mirrored_repository) {
  origin.commit("f", "1");
  auto m = open();
  bring(*m);
  BOOST_REQUIRE(m->save_index("an index"));
  BOOST_TEST(m->load_index() == "an index");
  m.reset();
  const auto packs = dir / "objects" / "pack";
  for (const char* name : {"pack_git2_abc", "tmp_pack_1", "pack-1111111111111111111111111111111111111111.pack"}) std::ofstream{packs / name} << "half";
  std::ofstream{dir / "packed-refs.new"} << "half";
  std::ofstream{dir / "packed-refs.lock"} << "";
  m = nullptr;
  m = open();
  check_no_debris();
  check_like_git(*m);
  BOOST_TEST(m->load_index() == "an index");
  m.reset();
  BOOST_TEST((open_mirror(dir, "another").error().code == ec::conflict));
  BOOST_TEST((open_mirror(origin.dir() / ".git", "id").error().code == ec::conflict));

  std::filesystem::path pack;
  for (const auto& entry : std::filesystem::directory_iterator(packs))
    if (entry.path().extension() == ".pack") pack = entry.path();
  std::filesystem::resize_file(pack, std::filesystem::file_size(pack) - 7);
  BOOST_TEST((open_mirror(dir, "id").error().code == ec::corrupt_cache));
  BOOST_REQUIRE(remove_mirror(dir));
  m = nullptr;
  m = open();
  bring(*m);
  m.reset();
  std::ofstream{dir / "packed-refs"} << "not refs\n";
  BOOST_TEST((open_mirror(dir, "id").error().code == ec::corrupt_cache));
}

BOOST_FIXTURE_TEST_CASE(a_flipped_byte_is_noticed, mirrored_repository) {
  std::string noise;
  for (unsigned i = 0, x = 1; i < 4'000; ++i) noise += static_cast<char>('!' + ((x = x * 1'103'515'245U + 12'345U) >> 16U) % 90);
  origin.commit("f", noise);
  const auto blob = id_of(origin.git("rev-parse HEAD:f"));
  auto m = open();
  bring(*m);
  m.reset();
  for (const auto& entry : std::filesystem::directory_iterator(dir / "objects" / "pack"))
    if (entry.path().extension() == ".pack") {
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
      std::fstream file{entry.path(), std::ios::in | std::ios::out | std::ios::binary};
      file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(entry.path()) / 2));
      file.put('\x55').put('\xaa').put('\x5a');
    }
  m = nullptr;
  m = open();
  const auto read = m->objects().read(blob);
  BOOST_REQUIRE(!read);
  BOOST_TEST((read.error().code == ec::corrupt_cache || read.error().code == ec::checksum_mismatch), read.error().what);
  origin.commit("f", noise + "one more\n"); // comes as a difference from what is damaged
  const auto listed = list();
  const auto built = fetch(*m, remote(), *listed.refs, limits, cancel, false, {});
  BOOST_REQUIRE(!built);
  BOOST_TEST((built.error().code == ec::checksum_mismatch), describe(built.error()));
  m.reset();
  BOOST_REQUIRE(remove_mirror(dir));
  bring(*open());
}
