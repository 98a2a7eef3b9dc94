// links: veranda_adapter_store
#define BOOST_TEST_MODULE package_cache
#include "adapters/store/sqlite.hpp"
#include "tests/support/store_fixture.hpp"

#include <algorithm>

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;
using names_t = std::vector<std::string>;

namespace {

durable_state full_state() {
  durable_state s;
  s.basis = {std::string(64, 'a'), id_of(77).hex(), std::string(64, 'b')};
  s.hold = deletion_hold{20, 25, 22, "20-3f9a1c2b7d40", "branch \"main\" moved", *parse_rfc3339("2026-03-10T10:07:30Z"), wall_time{std::chrono::nanoseconds{1'800'000'000'123'456'789}}};
  s.accepted_run_once = wall_time{std::chrono::seconds{1'800'000'100}};
  s.consumed_run_once = wall_time{std::chrono::seconds{1'800'000'050}};
  s.handled_request = "2026-03-10T10:07:30Z";
  s.last_success = wall_time{std::chrono::nanoseconds{1'800'000'000'123'456'789}};
  s.last_error = "unreachable: no connection";
  s.last_error_code = ec::unreachable;
  s.next_sync = wall_time{std::chrono::seconds{1'800'000'600}};
  s.bad = {{"refs/tags/x", "is no package", true}, {"refs/tags/y:big", "is too large", false}};
  s.bad_count = 7;
  for (int n = 0; n < 3; ++n)
    s.runs.push_back({"sync-" + std::to_string(n), sync_cause::cron, *s.next_sync, std::chrono::milliseconds{12}, n == 1, n == 2, "", {1, 2, 3, 4, 5, 6, 7, 8}});
  return s;
}

std::string events(const std::vector<feed_entry>& entries) {
  std::string text;
  for (const auto& e : entries)
    text += std::string{e.event == feed_event::added ? "+" : e.event == feed_event::modified ? "~" : "-"} + e.object.revision.key.package + " ";
  return text;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(package_cache_suite, cache_fixture)

BOOST_AUTO_TEST_CASE(what_was_applied_is_read_back_in_full) {
  put_files(1, 1);
  auto wanted = revision_of("repo", "web", 3);
  wanted.lifecycle = lifecycle::deletion_proposed;
  wanted.latest = true;
  wanted.kptfile.upstream_lock = git_lock{"https://up.example", "d", "r", "c"};
  wanted.kptfile.readiness_gates = {"ready"};
  wanted.kptfile.annotations = {{"a", "b"}};
  repository_spec spec;
  spec.deployment = true;
  value(cache->open(claim, spec));
  const auto outcome = apply(delta({wanted}));
  BOOST_TEST(outcome.revisions == 1U);
  BOOST_TEST(outcome.packages == 1U);
  const auto stored = value(reader->get({"default", wanted.name}));
  BOOST_REQUIRE(stored);
  BOOST_CHECK(stored->revision == wanted);
  BOOST_TEST(stored->repository.name == "repo");
  BOOST_TEST(stored->deployment);
  BOOST_CHECK(stored->created == now);
  BOOST_TEST(stored->resource_version == std::to_string(outcome.position));
  const auto snapshot = value(reader->snapshot("uid-1"));
  BOOST_REQUIRE(snapshot.size() == 1U);
  BOOST_CHECK(snapshot[0].digest == wanted.digest());
}

BOOST_AUTO_TEST_CASE(the_feed_tells_removals_changes_and_additions_in_this_order) {
  put_files(1, 3);
  apply(delta({revision_of("repo", "a", 1), revision_of("repo", "b", 1)}));
  auto changed = revision_of("repo", "b", 1, 2);
  const auto created = now;
  now += std::chrono::hours{1};
  apply(delta({revision_of("repo", "c", 1)}, {changed}, {revision_of("repo", "a", 1).name}));
  const auto feed = value(reader->feed_after(start, 100));
  BOOST_TEST(events(feed) == "+a +b -a ~b +c ");
  for (std::size_t i = 0; i < feed.size(); ++i)
    BOOST_TEST(feed[i].position == start + 1 + static_cast<std::int64_t>(i));
  BOOST_CHECK(feed[1].object.revision.tree == id_of(1)); // as it was then
  BOOST_CHECK(feed[3].object.revision.tree == id_of(2));
  BOOST_CHECK(feed[3].object.created == created);
  BOOST_CHECK(feed[2].object.revision == revision_of("repo", "a", 1)); // as it last was
  BOOST_TEST(feed[2].object.resource_version == std::to_string(start + 3));
  BOOST_TEST(events(value(reader->feed_after(start + 2, 2))) == "-a ~b ");
}

BOOST_AUTO_TEST_CASE(a_position_outside_the_feed_is_stale) {
  BOOST_TEST(code(reader->feed_after(start, 10)) == "ok");
  BOOST_TEST(code(reader->feed_after(start + 1, 10)) == "stale");
  BOOST_TEST(code(reader->feed_after(start - 1, 10)) == "stale");
  BOOST_TEST(code(reader->feed_after(0, 10)) == "stale");
}

BOOST_AUTO_TEST_CASE(an_older_fence_writes_nothing) {
  put_files(1, 1);
  const auto newer = value(cache->claim(claim.key, claim.uid, 1));
  BOOST_TEST(newer.fence > claim.fence);
  BOOST_TEST(code(cache->apply_delta(claim, delta({revision_of("repo", "a", 1)}), {})) == "stale");
  BOOST_TEST(code(cache->put_state(claim, {})) == "stale");
  BOOST_TEST(code(cache->open(claim, {})) == "stale");
  BOOST_TEST(code(cache->close(claim)) == "stale");
  BOOST_TEST(value(reader->snapshot("uid-1")).empty());
  BOOST_TEST(code(cache->apply_delta(newer, delta({revision_of("repo", "a", 1)}), {})) == "ok");
}

BOOST_AUTO_TEST_CASE(an_older_epoch_cannot_claim) {
  value(cache->claim(claim.key, claim.uid, 5));
  BOOST_TEST(code(cache->claim(claim.key, claim.uid, 4)) == "stale");
  BOOST_TEST(code(cache->claim(claim.key, claim.uid, 5)) == "ok");
  BOOST_TEST(code(cache->claim({"default", "other"}, claim.uid, 9)) == "conflict");
}

BOOST_AUTO_TEST_CASE(a_recreated_repository_starts_empty) {
  put_files(1, 1);
  apply(delta({revision_of("repo", "a", 1)}), full_state());
  const auto next = value(cache->claim(claim.key, "uid-2", 1));
  BOOST_TEST(names().empty());
  BOOST_TEST(events(value(reader->feed_after(start, 10))) == "+a -a ");
  BOOST_CHECK(!value(reader->state("uid-1")));
  const auto state = value(reader->state("uid-2"));
  BOOST_REQUIRE(state);
  durable_state empty;
  empty.key = claim.key;
  empty.uid = "uid-2";
  empty.fence = next.fence;
  BOOST_CHECK(*state == empty);
}

BOOST_AUTO_TEST_CASE(a_hold_that_is_over_is_gone_and_a_damaged_one_is_told) {
  auto state = full_state();
  value(cache->put_state(claim, state));
  state.hold.reset();
  value(cache->put_state(claim, state));
  BOOST_TEST(!value(reader->state("uid-1"))->hold);
  sqlite::connection other{file, sqlite::access::read_write};
  for (const std::string odd : {"", "{}", "[1,2,3,4,5,6,7]", R"([1,2,3,"p","c",5])", R"([1,2,3,"p","c",5,"6"])"}) {
    sqlite::query{other, "UPDATE repositories SET deletion_hold = ?1"}.bind(odd).run();
    BOOST_TEST(code(reader->state("uid-1")) == "corrupt_cache", odd);
  }
}

BOOST_AUTO_TEST_CASE(a_state_alone_does_not_say_what_the_rows_were_made_from) {
  auto state = full_state();
  value(cache->put_state(claim, state));
  BOOST_CHECK(value(reader->state("uid-1"))->basis == sync_basis{}); // so that a cache that was lost is filled again
  apply({}, state);
  BOOST_CHECK(value(reader->state("uid-1"))->basis == state.basis);
  state.basis.digest = "another";
  value(cache->put_state(claim, state));
  BOOST_CHECK(value(reader->state("uid-1"))->basis == full_state().basis);
}

BOOST_AUTO_TEST_CASE(durable_state_survives_and_keeps_the_last_twenty_runs) {
  auto state = full_state();
  apply({}, state);
  cache.reset();
  cache = value(open_package_cache(file, [this] { return now; }));
  auto wanted = state;
  wanted.key = claim.key;
  wanted.uid = claim.uid;
  wanted.fence = claim.fence;
  BOOST_CHECK(*value(reader->state("uid-1")) == wanted);
  state.runs.resize(25, state.runs[0]);
  state.runs.back().sync_id = "newest";
  value(cache->put_state(claim, state));
  const auto kept = value(reader->states());
  BOOST_REQUIRE(kept.size() == 1U);
  BOOST_TEST(kept[0].runs.size() == 20U);
  BOOST_TEST(kept[0].runs.back().sync_id == "newest");
}

BOOST_AUTO_TEST_CASE(of_the_runs_only_what_is_new_or_too_old_is_written) {
  sqlite::connection observer{file, sqlite::access::read_write};
  observer.execute("CREATE TABLE written(seq INTEGER); CREATE TRIGGER a AFTER INSERT ON runs BEGIN INSERT INTO written VALUES(new.seq); END;"
                   "CREATE TRIGGER b AFTER DELETE ON runs BEGIN INSERT INTO written VALUES(old.seq); END;"
                   "CREATE TRIGGER c AFTER UPDATE ON runs BEGIN INSERT INTO written VALUES(new.seq); END");
  auto state = full_state();
  const auto put = [&] {
    const auto before = observer.integer("SELECT count(*) FROM written");
    value(cache->put_state(claim, state));
    const auto kept = value(reader->state("uid-1"))->runs;
    BOOST_CHECK(kept == std::vector<sync_run>(state.runs.end() - static_cast<std::ptrdiff_t>(std::min<std::size_t>(20, state.runs.size())), state.runs.end()));
    return observer.integer("SELECT count(*) FROM written") - before;
  };
  const auto finish = [&](const std::string& id) {
    state.runs.push_back(state.runs[0]);
    state.runs.back().sync_id = id;
  };
  BOOST_TEST(put() == 3); // the first three
  finish("a fourth");
  BOOST_TEST(put() == 1);
  state.handled_request = "another";
  BOOST_TEST(put() == 0);
  for (int n = 5; n <= 20; ++n)
    finish(std::to_string(n));
  BOOST_TEST(put() == 16);
  finish("one more"); // the oldest goes, as it does in memory or here
  BOOST_TEST(put() == 2);
  state.runs.erase(state.runs.begin());
  BOOST_TEST(put() == 0);
  state.runs = {state.runs.back()};
  BOOST_TEST(put() == 19); // nothing but the newest stays
  state.runs[0].error = "other";
  BOOST_TEST(put() == 2);
  state.runs.clear();
  BOOST_TEST(put() == 1);
}

BOOST_AUTO_TEST_CASE(another_deployment_flag_modifies_every_revision) {
  put_files(1, 1);
  auto tip = revision_of("repo", "b", -1);
  tip.from_branch = true;
  repository_spec spec;
  value(cache->open(claim, spec));
  apply(delta({revision_of("repo", "a", 1), tip}, {}, {}, {"d", id_of(100).hex()}));
  const auto other = value(cache->claim({"default", "other"}, "uid-2", 1));
  value(cache->apply_delta(other, delta({revision_of("other", "z", 1)}), {}));
  value(cache->open(claim, spec));
  BOOST_TEST(value(reader->feed_position()) == start + 3); // the same flag
  spec.deployment = true;
  value(cache->open(claim, spec));
  const auto feed = value(reader->feed_after(start, 10));
  BOOST_TEST(events(feed) == "+a +b +z ~a ~b ");
  BOOST_TEST(!feed[0].object.deployment); // as it was then
  BOOST_TEST(!feed[1].object.deployment);
  BOOST_TEST(feed[3].object.deployment);
  BOOST_TEST(feed[4].object.deployment);
  BOOST_CHECK(feed[4].object.revision.commit == id_of(100));
  const auto a = *value(reader->get({"default", "repo.apps.a.v1"}));
  BOOST_TEST(a.deployment);
  BOOST_TEST(a.resource_version == std::to_string(feed[3].position));
  BOOST_CHECK(a.revision == revision_of("repo", "a", 1));
  value(cache->open(claim, spec));
  BOOST_TEST(value(reader->feed_position()) == start + 5);
  apply(delta({}, {}, {tip.name})); // the branch's row is still its repository's
  BOOST_TEST(names({"default", "repo", ""}) == names_t{"repo.apps.a.v1"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(nothing_is_written_when_nothing_changed) {
  put_files(1, 1);
  const auto one = delta({revision_of("repo", "a", 1)});
  apply(one, full_state());
  const auto log = file.string() + "-wal";
  const auto before = bytes_in(log);
  BOOST_TEST(!before.empty());
  const auto same = apply({}, full_state());
  apply(one, full_state()); // stored already
  value(cache->put_state(claim, full_state()));
  value(cache->open(claim, {}));
  value(cache->put_contents(files_of(1)));
  BOOST_TEST(same.revisions == 1U);
  BOOST_CHECK(bytes_in(log) == before);
  BOOST_TEST(value(reader->feed_position()) == start + 1);
}

BOOST_AUTO_TEST_CASE(branch_revisions_follow_the_tip_without_being_written) {
  put_files(1, 1);
  auto r = revision_of("repo", "a", -1);
  r.from_branch = true;
  apply(delta({r}, {}, {}, {"d1", id_of(100).hex()}));
  BOOST_CHECK(value(reader->get({"default", r.name}))->revision.commit == id_of(100));
  apply(delta({}, {}, {}, {"d2", id_of(200).hex()}));
  const auto now_at = value(reader->get({"default", r.name}))->revision;
  BOOST_CHECK(now_at.commit == id_of(200));
  BOOST_TEST(now_at.self_lock.commit == id_of(200).hex());
  BOOST_TEST(value(reader->feed_position()) == start + 1);
  value(cache->close(claim));
  BOOST_CHECK(value(reader->feed_after(start, 9)).back().object.revision.commit == id_of(200));
}

BOOST_AUTO_TEST_CASE(an_object_name_taken_by_another_repository_is_rejected_alone) {
  put_files(1, 1);
  const auto other = value(cache->claim({"default", "repo.apps"}, "uid-9", 1));
  const auto taken = revision_of("repo", "a", 1);
  value(cache->apply_delta(other, delta({taken}), {}));
  const auto outcome = apply(delta({taken, revision_of("repo", "b", 1)}));
  BOOST_REQUIRE(outcome.rejected.size() == 1U);
  BOOST_TEST(outcome.rejected[0].what == taken.ref);
  BOOST_TEST(outcome.rejected[0].reason == "its object name repo.apps.a.v1 is taken by a package of the repository repo.apps");
  BOOST_TEST(outcome.revisions == 1U);
  apply(delta({}, {}, {taken.name})); // not ours to remove
  BOOST_TEST(names() == (names_t{"repo.apps.a.v1", "repo.apps.b.v1"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_listing_is_ordered_and_restricted) {
  put_files(1, 1);
  const auto elsewhere = value(cache->claim({"alpha", "zoo"}, "uid-2", 1));
  value(cache->apply_delta(elsewhere, delta({revision_of("zoo", "z", 1)}), {}));
  apply(delta({revision_of("repo", "b", 1), revision_of("repo", "a", 1)}));
  const names_t all{"zoo.apps.z.v1", "repo.apps.a.v1", "repo.apps.b.v1"};
  const names_t ours{"repo.apps.a.v1", "repo.apps.b.v1"};
  struct {
    revision_query query;
    names_t found;
  } const table[] = {{{}, all},
                     {{"default", "", ""}, ours},
                     {{"default", "repo", ""}, ours},
                     {{"", "repo", ""}, ours},
                     {{"alpha", "repo", ""}, {}},
                     {{"", "", "repo.apps.b.v1"}, {"repo.apps.b.v1"}},
                     {{"default", "repo", "repo.apps.b.v1"}, {"repo.apps.b.v1"}},
                     {{"", "zoo", "repo.apps.b.v1"}, {}},
                     {{"", "", "", {"alpha", "zoo.apps.z.v1"}}, ours},
                     {{"", "", "", {"alpha", "zoo"}}, all},
                     {{"", "", "", {"beta", "x"}}, ours},
                     {{"", "", "", {"default", "repo.apps.a.v1"}}, {"repo.apps.b.v1"}},
                     {{"default", "", "", {"default", "repo.apps.a.v1"}}, {"repo.apps.b.v1"}},
                     {{"default", "", "", {"alpha", "zoo.apps.z.v1"}}, ours},
                     {{"alpha", "", "", {"default", "a"}}, {}},
                     {{"default", "repo", "", {"default", "repo.apps.a.v1"}}, {"repo.apps.b.v1"}},
                     {{"", "", "", {"default", "repo.apps.b.v1"}}, {}}};
  for (const auto& row : table) {
    BOOST_TEST(names(row.query) == row.found, boost::test_tools::per_element());
    BOOST_TEST(value(reader->count(row.query)) == row.found.size());
  }
  int calls = 0;
  value(reader->list({}, [&](const cached_revision&) { return ++calls < 2; }));
  BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(closing_forgets_everything_and_may_be_repeated) {
  put_files(1, 1);
  apply(delta({revision_of("repo", "b", 1), revision_of("repo", "a", 1)}), full_state());
  value(cache->close(claim));
  value(cache->close(claim));
  BOOST_TEST(names().empty());
  BOOST_TEST(value(reader->states()).empty());
  BOOST_TEST(events(value(reader->feed_after(start + 2, 10))) == "-a -b ");
  BOOST_TEST(code(cache->apply_delta(claim, {}, {})) == "stale");
}

BOOST_AUTO_TEST_CASE(contents_are_kept_once_and_read_by_tree) {
  put_files(1, 2);
  const std::vector<oid> asked{id_of(9), id_of(1), id_of(9), id_of(8), id_of(2)};
  BOOST_CHECK(value(reader->missing_trees(asked, 1U << 20U)) == (std::vector<oid>{id_of(9), id_of(8)}));
  BOOST_CHECK(value(reader->missing_contents({id_of(1'000'001), id_of(4)})) == std::vector<oid>{id_of(4)});
  const auto files = value(reader->resources(id_of(2)));
  BOOST_REQUIRE(files.size() == 2U);
  BOOST_CHECK(files[0].first == files_of(2).trees[0].files[0]);
  BOOST_TEST(files[0].second == "content 2");
  BOOST_TEST(files[1].second == "");
  BOOST_TEST((files[1].first.kind == file_kind::omitted_too_large));
  BOOST_TEST(code(reader->resources(id_of(9))) == "not_found");
}

BOOST_AUTO_TEST_CASE(a_revision_never_enters_without_its_files) {
  BOOST_TEST(code(cache->apply_delta(claim, delta({revision_of("repo", "a", 1)}), {})) == "conflict");
  BOOST_TEST(names().empty());
}

BOOST_AUTO_TEST_CASE(the_sweep_takes_what_nothing_needs_and_only_after_its_age) {
  put_files(1, 3);
  apply(delta({revision_of("repo", "a", 1, 1)}));
  const auto hour = std::chrono::hours{1};
  BOOST_TEST(value(cache->sweep(hour, 100)) == 0U);
  BOOST_TEST(value(reader->missing_trees({id_of(1), id_of(2)}, 1U << 20U)).size() == 1U); // condemned counts as missing
  value(cache->put_contents(files_of(2)));                                    // and is pardoned when streamed again
  apply(delta({revision_of("repo", "b", 1, 2)}));
  now += hour;
  BOOST_TEST(value(cache->sweep(hour, 100)) == 1U); // the tree 3
  now += hour;
  BOOST_TEST(value(cache->sweep(hour, 100)) == 1U); // its blob
  BOOST_CHECK(value(reader->missing_contents({id_of(1'000'001), id_of(1'000'002), id_of(1'000'003)})) == std::vector<oid>{id_of(1'000'003)});
  BOOST_TEST(value(reader->resources(id_of(1)))[0].second == "content 1");
  value(cache->close(claim));
  std::size_t gone = 0;
  for (int n = 0; n < 4; ++n) {
    const auto now_gone = value(cache->sweep(std::chrono::seconds{0}, 1));
    BOOST_TEST(now_gone <= 1U);
    gone += now_gone;
  }
  BOOST_TEST(gone == 4U);
  BOOST_TEST(value(cache->sweep(std::chrono::seconds{0}, 100)) == 0U);
  BOOST_TEST(value(reader->missing_contents({id_of(1'000'001), id_of(1'000'002)})).size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_swept_tree_that_is_needed_after_all_is_asked_for_again) {
  put_files(1, 1);
  value(cache->sweep(std::chrono::seconds{0}, 100));
  BOOST_TEST(code(cache->apply_delta(claim, delta({revision_of("repo", "a", 1)}), {})) == "conflict");
  put_files(1, 1);
  apply(delta({revision_of("repo", "a", 1)}));
  value(cache->sweep(std::chrono::seconds{0}, 100));
  BOOST_TEST(value(reader->resources(id_of(1)))[0].second == "content 1");
}

BOOST_AUTO_TEST_SUITE_END()
