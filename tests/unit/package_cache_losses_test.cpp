// links: veranda_adapter_store
#define BOOST_TEST_MODULE package_cache_losses
#include "adapters/store/content_rows.hpp"
#include "adapters/store/package_schema.hpp"
#include "tests/support/store_fixture.hpp"

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;

namespace {

constexpr std::uint64_t small_limit = 100;
constexpr std::uint64_t high_limit = 5000;

/// A package of a Kptfile, a file of 1,000 bytes and one of 9,000, listed under a limit.
content_batch listed(std::uint64_t tree, std::uint64_t limit) {
  content_batch batch;
  package_tree files{id_of(tree), {}};
  tree_losses lost{id_of(tree), 0, {}};
  for (const auto& [path, size] : {std::pair{"Kptfile", 10U}, std::pair{"large.bin", 1000U}, std::pair{"larger.bin", 9000U}}) {
    const auto blob = id_of(tree * 1'000'000 + size);
    const bool fits = size <= limit;
    files.files.push_back({path, fits ? file_kind::regular : file_kind::omitted_too_large, blob, size});
    if (fits)
      batch.contents.push_back({blob, std::string(size, 'x')});
    else
      lost.first.push_back({path, "is larger than " + std::to_string(limit) + " bytes; its content is not kept", false});
  }
  lost.count = lost.first.size();
  batch.trees.push_back(std::move(files));
  if (lost.count > 0)
    batch.losses.push_back(std::move(lost));
  return batch;
}

std::string incomplete(package_cache_reader& reader, const std::string& uid = "uid-1") {
  std::string text;
  for (const auto& r : value(reader.incomplete_revisions(uid)))
    text += r.ref + ":" + r.directory + " " + (r.tree == id_of(1) ? "1" : "?") + "\n";
  return text;
}

std::string lost(package_cache_reader& reader, const std::vector<oid>& trees, std::size_t named = 100) {
  std::string text;
  for (const auto& tree : value(reader.losses(trees, named))) {
    text += std::to_string(tree.count);
    for (const auto& item : tree.first)
      text += " " + item.what + " " + item.reason + ";";
    text += "\n";
  }
  return text;
}

std::size_t bytes_of(package_cache_reader& reader, const oid& tree) {
  std::size_t bytes = 0;
  for (const auto& [file, data] : value(reader.resources(tree)))
    bytes += data.size();
  return bytes;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(losses_suite, cache_fixture)

BOOST_AUTO_TEST_CASE(what_is_lost_of_a_tree_is_told_as_long_as_it_is_stored) {
  value(cache->put_contents(listed(1, small_limit)));
  value(cache->put_contents(listed(2, high_limit)));
  value(cache->put_contents(listed(3, 10'000)));
  const std::vector<oid> all{id_of(3), id_of(2), id_of(9), id_of(1)};
  BOOST_TEST(lost(*reader, all) == "1 larger.bin is larger than 5000 bytes; its content is not kept;\n"
                                   "2 large.bin is larger than 100 bytes; its content is not kept; larger.bin is larger than 100 bytes; its content is not kept;\n");
  BOOST_TEST(lost(*reader, all, 2) == "1 larger.bin is larger than 5000 bytes; its content is not kept;\n2 large.bin is larger than 100 bytes; its content is not kept;\n");
  BOOST_TEST(lost(*reader, {id_of(3)}) == "");
  value(cache->sweep(std::chrono::seconds{0}, 100));
  BOOST_TEST(lost(*reader, all) == ""); // nothing referenced them: their losses went with them
}

BOOST_AUTO_TEST_CASE(more_losses_than_are_named_are_counted) {
  auto batch = listed(1, small_limit);
  batch.losses[0].count = 1234;
  value(cache->put_contents(batch));
  BOOST_TEST(value(reader->losses({id_of(1)}, 1)).at(0).count == 1234U);
}

BOOST_AUTO_TEST_CASE(losses_that_nobody_told_are_seen_in_the_list) {
  auto batch = listed(1, high_limit);
  batch.losses.clear();
  value(cache->put_contents(batch));
  BOOST_TEST(lost(*reader, {id_of(1)}) == "1 larger.bin is too large (9000 bytes); its content is not kept;\n");
}

BOOST_AUTO_TEST_CASE(current_revisions_that_lack_files_are_listed) {
  value(cache->put_contents(listed(1, small_limit)));
  value(cache->put_contents(listed(2, 10'000)));
  apply(delta({revision_of("repo", "a", 1, 1), revision_of("repo", "b", 1, 1), revision_of("repo", "c", 1, 2)}));
  const auto other = value(cache->claim({"default", "other"}, "uid-2", 1));
  value(cache->apply_delta(other, delta({revision_of("other", "z", 1, 1)}), {}));
  BOOST_TEST(incomplete(*reader) == "refs/tags/apps/a/v1:apps/a 1\nrefs/tags/apps/b/v1:apps/b 1\n");
  BOOST_TEST(incomplete(*reader, "uid-2") == "refs/tags/apps/z/v1:apps/z 1\n");
  apply(delta({}, {revision_of("repo", "a", 1, 2)}));
  BOOST_TEST(incomplete(*reader) == "refs/tags/apps/b/v1:apps/b 1\n");
  apply(delta({}, {}, {revision_of("repo", "b", 1).name}));
  BOOST_TEST(incomplete(*reader) == "");
  BOOST_TEST(incomplete(*reader, "unknown") == "");
}

BOOST_AUTO_TEST_CASE(a_tree_counts_as_missing_when_one_more_of_its_files_fits) {
  value(cache->put_contents(listed(1, small_limit)));
  struct {
    std::uint64_t limit;
    bool missing;
  } const table[] = {{50, false}, {small_limit, false}, {999, false}, {1000, true}, {high_limit, true}, {1U << 30U, true}};
  for (const auto& row : table)
    BOOST_TEST(value(reader->missing_trees({id_of(1)}, row.limit)).size() == (row.missing ? 1U : 0U), row.limit);
}

BOOST_AUTO_TEST_CASE(a_listing_with_a_higher_limit_replaces_the_stored_one_and_modifies_its_revisions) {
  value(cache->put_contents(listed(1, small_limit)));
  apply(delta({revision_of("repo", "a", 1, 1), revision_of("repo", "b", 1, 1)}));
  const auto before = *value(reader->get({"default", "repo.apps.a.v1"}));
  BOOST_TEST(bytes_of(*reader, id_of(1)) == 10U);
  value(cache->put_contents(listed(1, high_limit)));
  BOOST_TEST(bytes_of(*reader, id_of(1)) == 1010U);
  BOOST_TEST(lost(*reader, {id_of(1)}) == "1 larger.bin is larger than 5000 bytes; its content is not kept;\n");
  const auto feed = value(reader->feed_after(start + 2, 10));
  BOOST_REQUIRE(feed.size() == 2U);
  for (const auto& entry : feed)
    BOOST_TEST((entry.event == feed_event::modified));
  const auto after = *value(reader->get({"default", "repo.apps.a.v1"}));
  BOOST_CHECK(after.revision == before.revision);
  BOOST_CHECK(after.created == before.created);
  BOOST_TEST(after.resource_version == std::to_string(feed[0].position));
  BOOST_CHECK(value(reader->feed_after(start, 1))[0].object.revision == before.revision); // history is as it was
  BOOST_TEST(value(reader->snapshot("uid-1")).size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_listing_with_a_lower_limit_takes_nothing_away) {
  value(cache->put_contents(listed(1, high_limit)));
  apply(delta({revision_of("repo", "a", 1, 1)}));
  BOOST_TEST(value(reader->missing_trees({id_of(1)}, small_limit)).empty());
  for (const auto limit : {small_limit, high_limit}) {
    value(cache->put_contents(listed(1, limit)));
    BOOST_TEST(bytes_of(*reader, id_of(1)) == 1010U);
    BOOST_TEST(value(reader->feed_position()) == start + 1);
  }
  BOOST_TEST(lost(*reader, {id_of(1)}) == "1 larger.bin is larger than 5000 bytes; its content is not kept;\n");
}

BOOST_AUTO_TEST_CASE(a_claim_voids_the_basis_when_more_could_be_kept) {
  value(cache->put_contents(listed(1, small_limit)));
  value(cache->put_contents(listed(2, small_limit)));
  const auto apply_in_step = [&] {
    durable_state s;
    s.basis.digest = "in step";
    claim = value(cache->claim(claim.key, claim.uid, 1));
    apply(delta({revision_of("repo", "a", 1, 1)}), s);
  };
  apply_in_step();
  const auto basis_under = [&](std::uint64_t limit) {
    cache.reset();
    cache = value(open_package_cache(file, [this] { return now; }, feed_entries_kept, limit));
    return value(cache->claim(claim.key, claim.uid, 1)).basis_digest;
  };
  BOOST_TEST(basis_under(0) == "in step");
  BOOST_TEST(basis_under(small_limit) == "in step");
  BOOST_TEST(basis_under(high_limit) == "");
  value(cache->put_contents(listed(1, high_limit)));
  BOOST_TEST(basis_under(high_limit) == ""); // what the last sync said of it is no longer true
  apply_in_step();
  BOOST_TEST(basis_under(high_limit) == "in step"); // the other tree is nobody's
  BOOST_TEST(basis_under(10'000) == "");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(the_steps_of_the_schema_are_what_files_were_made_with) {
  const std::vector<std::string> published{"2afdaf91f80fbb608c10635ccaf2446fbf3a21914bcc78a66b5b1dbbf971356c",
                                           "15f3de128a497841bfa3f1a8221ab18737f07f5b87e69fd0439cb1047b90fcab",
                                           "0e50154bc5c40a01742e264999fc37aeabf966bef5299ce6db2bfe7cbe96715e",
                                           "717c290189800754d8482390923aeba48b2202b141b43549745dc540c685242e"};
  std::vector<std::string> steps;
  for (const auto* step : package_schema.steps)
    steps.push_back(to_hex(sha256(step)));
  BOOST_TEST(steps == published, boost::test_tools::per_element()); // a change is a new step
}

BOOST_AUTO_TEST_CASE(a_file_of_version_1_is_migrated) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  const auto batch = listed(1, small_limit);
  {
    auto version_1 = package_schema;
    version_1.steps = package_schema.steps.first(1);
    version_1.migrated_to = nullptr;
    const auto opened = sqlite::open_for_writing(file, version_1);
    auto& db = *opened;
    db.execute("INSERT INTO repositories(ns, name, uid, fence, epoch, basis_digest) VALUES('default', 'repo', 'uid-1', 7, 1, 'in step')");
    for (const auto& c : batch.contents)
      sqlite::query{db, "INSERT INTO contents(digest, size, data) VALUES(?1, ?2, ?3)"}.bind(sqlite::blob{digest_key(c.blob)}, c.data.size(), sqlite::blob{c.data}).run();
    for (const auto& t : {batch.trees[0], listed(2, 10'000).trees[0]})
      sqlite::query{db, "INSERT INTO trees(digest, files) VALUES(?1, ?2)"}.bind(sqlite::blob{digest_key(t.tree)}, sqlite::blob{encode_files(t.files)}).run();
    sqlite::query{db, "INSERT INTO revisions(event, repository, ns, name, path, package, revision, workspace, uid, lifecycle, latest, from_branch, ref, commit_id, "
                      "tree, lock_repo, lock_directory, lock_ref, published_by, task, digest, created) VALUES(0, 1, 'default', 'repo.a.v1', '', 'a', 1, 'v1', 'u', 2, 1, "
                      "0, 'refs/tags/a/v1', ?1, ?2, 'r', 'a', 'a/v1', '', '', ?1, 0)"}
        .bind(sqlite::blob{std::string_view{"12345678901234567890"}}, sqlite::blob{digest_key(id_of(1))})
        .run();
  }
  BOOST_TEST(code(open_package_cache_reader(file)) == "unavailable"); // until a writer has migrated it
  auto cache = value(open_package_cache(file, [] { return wall_time{}; }, feed_entries_kept, high_limit));
  auto reader = value(open_package_cache_reader(file));
  BOOST_TEST(sqlite::connection(file, sqlite::access::read_only).integer("PRAGMA user_version") == 4);
  BOOST_TEST(value(reader->states()).at(0).basis.digest == "in step");
  BOOST_TEST(value(reader->states()).at(0).basis.source == "");
  BOOST_TEST(!value(reader->states()).at(0).hold);
  BOOST_TEST(incomplete(*reader) == "refs/tags/a/v1:a 1\n");
  BOOST_TEST(lost(*reader, {id_of(1), id_of(2)}) ==
             "2 large.bin is too large (1000 bytes); its content is not kept; larger.bin is too large (9000 bytes); its content is not kept;\n");
  BOOST_TEST(value(reader->missing_trees({id_of(1)}, 1000)).size() == 1U);
  BOOST_TEST(value(cache->claim({"default", "repo"}, "uid-1", 1)).basis_digest == "");
  value(cache->put_contents(listed(1, high_limit)));
  BOOST_TEST(bytes_of(*reader, id_of(1)) == 1010U);
  BOOST_TEST(value(reader->missing_trees({id_of(1)}, 1000)).empty());
}

BOOST_AUTO_TEST_CASE(runs_of_a_file_of_version_3_have_no_phases_and_new_ones_do) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  {
    auto version_3 = package_schema;
    version_3.steps = package_schema.steps.first(3);
    version_3.migrated_to = nullptr;
    const auto opened = sqlite::open_for_writing(file, version_3);
    opened->execute("INSERT INTO repositories(id, ns, name, uid, fence, epoch, basis_digest) VALUES(1, 'default', 'repo', 'uid-1', 7, 1, 'in step');"
                    "INSERT INTO runs(repository, seq, sync_id, cause, started, duration_ms, ok, unchanged, error, cached_only, external_only, both, changed, bad, packages, "
                    "revisions, fetched_bytes) VALUES(1, 4, 'old', 0, 0, 1500, 1, 0, '', 0, 2, 0, 0, 0, 2, 2, 77)");
  }
  auto cache = value(open_package_cache(file, [] { return wall_time{}; }));
  auto reader = value(open_package_cache_reader(file));
  auto state = value(reader->states()).at(0);
  BOOST_REQUIRE(state.runs.size() == 1U);
  BOOST_TEST(state.runs[0].stats.fetched_bytes == 77U);
  BOOST_CHECK(state.runs[0].phases == sync_phases{});
  using std::chrono::milliseconds;
  sync_run added;
  added.sync_id = "new";
  added.phases = {milliseconds{1}, milliseconds{2}, milliseconds{3}, milliseconds{4}, milliseconds{5}};
  state.runs.push_back(added);
  const auto claim = value(cache->claim({"default", "repo"}, "uid-1", 1));
  value(cache->put_state(claim, state));
  const auto kept = value(reader->states()).at(0);
  BOOST_TEST(kept.runs.size() == 2U);
  BOOST_CHECK(kept.runs == state.runs);
}
