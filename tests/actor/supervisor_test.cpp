// links: veranda_house
#define BOOST_TEST_MODULE supervisor
#include "tests/actor/whole_tree.hpp"
#include "tests/support/captured_log.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

using names = std::set<std::string>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_desired_set, whole_tree)

BOOST_AUTO_TEST_CASE(a_list_is_spawned_and_every_repository_synced) {
  list({an_object("a"), an_object("b", other_url)});
  BOOST_TEST((running_names() == names{"a", "b"}));
  BOOST_TEST(ready("a"));
  BOOST_TEST(ready("b"));
  BOOST_TEST(first_lists == 1U);
}

BOOST_AUTO_TEST_CASE(a_new_list_is_compared_with_what_runs) {
  list({an_object("a"), an_object("b"), an_object("c")});
  const auto kept = repository_of("b");
  auto changed = an_object("c", other_url);
  changed.meta.generation = 2;
  list({an_object("b"), changed, an_object("d")});
  BOOST_TEST((running_names() == names{"b", "c", "d"}));
  BOOST_TEST((repository_of("b") == kept));
  BOOST_TEST(cache.find(key("a")) == nullptr);
  BOOST_TEST(cached("c").size() == 2U);
  BOOST_TEST(cache.rows.at("uid-c").spec.git->repo == other_url);
  BOOST_TEST(first_lists == 1U);
}

BOOST_AUTO_TEST_CASE(each_kind_of_remote_is_listed_in_a_way_of_its_own) {
  const auto listed_by = [this](const std::string& kind) {
    std::uint64_t jobs = 0;
    for (const auto& total : env.cells->totals())
      for (const auto& [type, count] : total.messages)
        jobs += total.kind == kind && type == "job" ? count : 0;
    return jobs;
  };
  git.publish("/srv/git/near.git", "main", "app", 1);
  git.publish("ssh://git@git.example/~/far.git", "main", "app", 1);
  list({an_object("a")});
  BOOST_TEST(listed_by("lister-pool") == 0U);
  BOOST_TEST(listed_by("distant-lister-pool") == 0U);
  list({an_object("a"), an_object("near", "/srv/git/near.git")});
  BOOST_TEST(ready("near"));
  BOOST_TEST(listed_by("lister-pool") == 1U);
  BOOST_TEST(listed_by("distant-lister-pool") == 0U);
  list({an_object("a"), an_object("near", "/srv/git/near.git"), an_object("far", "ssh://git@git.example/~/far.git")});
  BOOST_TEST(ready("far"));
  BOOST_TEST(listed_by("lister-pool") == 1U);
  BOOST_TEST(listed_by("distant-lister-pool") == 1U);
}

BOOST_AUTO_TEST_CASE(repositories_of_one_remote_share_a_listing_and_a_fetch) {
  list({an_object("a"), an_object("b"), an_object("c")});
  BOOST_TEST(listings() == 1U);
  BOOST_TEST(git.remotes[url].fetches == 1U);
  BOOST_TEST(seen().remotes.size() == 1U);
  advance(10min);
  BOOST_TEST(listings() == 2U);
}

BOOST_AUTO_TEST_CASE(credentials_keep_remotes_apart) {
  auto with_key = an_object("a");
  with_key.spec.git->secret_ref = "key";
  auto elsewhere = with_key;
  elsewhere.meta.key = {"guests", "a"};
  elsewhere.meta.uid = "uid-guest";
  auto anonymous = an_object("b");
  list({with_key, elsewhere, anonymous});
  BOOST_TEST(seen().remotes.size() == 3U);
  BOOST_TEST(git.mirrors.size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_repository_that_moves_takes_its_place_along) {
  list({an_object("a")});
  const auto old = remote_of();
  change("a", [](auto& o) { o.spec.git->repo = other_url; });
  BOOST_TEST(!alive(old));
  BOOST_TEST(git.mirrors.size() == 1U);
  BOOST_TEST(seen().remotes.size() == 1U);
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(made_anew_under_its_name_waits_for_the_end_of_the_old_one) {
  list({an_object("a")});
  const auto old = repository_of("a");
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  list({an_object("a", url, "uid-second")});
  BOOST_TEST(alive(old)); // it has not removed its rows
  BOOST_TEST((repository_of("a") == old));
  cache.failing.clear();
  advance(2s);
  BOOST_TEST(!alive(old));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.begin()->first == "uid-second");
  BOOST_TEST(seen().remotes.begin()->second.members.size() == 1U);
}

BOOST_AUTO_TEST_CASE(deleted_and_made_anew_and_deleted_again_is_gone) {
  workers->hold = true;
  list({an_object("a")});
  remove("a");
  put(an_object("a", url, "uid-second"));
  remove("a");
  workers->release();
  settle();
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(made_anew_while_its_actor_waits_for_a_restart_leaves_no_member_behind) {
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  put(an_object("a", url, "uid-second"));
  BOOST_TEST(ready("a"));
  BOOST_TEST(seen().remotes.begin()->second.members.size() == 1U);
  BOOST_TEST(state_of<remote_state>(remote_of()).members.size() == 1U);
  advance(5s); // nothing is started twice
  BOOST_TEST(seen().running.size() == 1U);
  remove("a");
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(deleted_while_its_actor_waits_for_a_restart_is_closed) {
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  remove("a");
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
  advance(5s);
  BOOST_TEST(seen().entries.empty());
}

BOOST_AUTO_TEST_CASE(rows_of_one_that_is_gone_are_removed_when_that_works) {
  list({an_object("a"), an_object("b")});
  crash(repository_of("a"));
  settle();
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove("a");
  advance(1min);
  BOOST_TEST(cache.rows.size() == 2U);
  cache.failing.clear();
  advance(30s);
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.count("uid-b") == 1U);
}

BOOST_AUTO_TEST_CASE(rows_that_cannot_be_removed_are_said_once) {
  list({an_object("a"), an_object("b")});
  for (const auto* name : {"a", "b"}) crash(repository_of(name));
  settle();
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  const auto said = logged([&] {
    remove("a");
    remove("b");
    advance(5min);
  });
  BOOST_TEST(test::count(said, "rows of a repository that is gone could not be removed") == 1U, said);
  cache.failing.clear();
  advance(30s);
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(rows_that_could_not_be_removed_do_not_cost_a_new_object_of_the_name_its_own) {
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove("a");
  cache.failing.clear();
  put(an_object("a", url, "uid-new"));
  advance(5min);
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.count("uid-new") == 1U);
  BOOST_TEST(seen().orphans.empty());
}

BOOST_AUTO_TEST_CASE(changes_that_come_before_the_durable_states_are_not_lost) {
  std::vector<repository_object> all{an_object("a")};
  caf::anon_send(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(all)});
  caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(an_object("b")), false});
  caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(an_object("a")), true});
  settle();
  BOOST_TEST((running_names() == names{"b"}));
}

BOOST_AUTO_TEST_CASE(states_that_cannot_be_read_are_waited_for) { // they hold what was accepted and is still to be done
  cache.failing["states"] = {ec::unavailable, "busy", {}, {}, {}};
  list({an_object("a")});
  advance(1min);
  BOOST_TEST(seen().entries.empty());
  cache.failing.clear();
  advance(2s);
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(states_that_are_lost_mean_a_start_from_nothing) {
  cache.failing["states"] = {ec::corrupt_cache, "the file is damaged", {}, {}, {}};
  list({an_object("a")});
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(one_that_waits_for_its_restart_learns_of_a_new_ca_bundle) {
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  bundles.insert("team");
  tell(boss, msg::secret_changed{{"team", "team-ca-bundle"}});
  advance(5s);
  BOOST_TEST(ready("a"));
  BOOST_TEST((seen().remotes.begin()->first.ns == "team"));
  BOOST_TEST(seen().remotes.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(what_it_tells_repositories, whole_tree)

BOOST_AUTO_TEST_CASE(conflicts_are_reported_on_each_and_block_nobody) {
  list({an_object("a"), an_object("b"), an_object("c", other_url)});
  advance(200ms);
  BOOST_TEST(says("a", "RepositoryConflict=True RepositoryConflict: Repository conflict with existing repository: team/b"));
  BOOST_TEST(says("b", "Repository conflict with existing repository: team/a"));
  BOOST_TEST(!says("c", "RepositoryConflict"));
  BOOST_TEST(ready("a"));
  BOOST_TEST(ready("b"));
  remove("b");
  advance(200ms);
  BOOST_TEST(!says("a", "RepositoryConflict"));
}

BOOST_AUTO_TEST_CASE(a_restarted_one_hears_of_its_conflicts_again) {
  list({an_object("a"), an_object("b")});
  advance(200ms);
  crash(repository_of("a"));
  advance(2s);
  BOOST_TEST(says("a", "Repository conflict with existing repository: team/b"));
}

BOOST_AUTO_TEST_CASE(a_changed_secret_syncs_those_who_use_it) {
  auto uses = an_object("uses");
  uses.spec.git->secret_ref = "key";
  auto other = an_object("other", other_url);
  other.spec.git->secret_ref = "another-key";
  list({uses, other, an_object("anonymous")});
  const auto before = telemetry->started.size();
  tell(boss, msg::secret_changed{{"team", "key"}});
  BOOST_TEST(telemetry->started.size() == before + 1);
  BOOST_TEST(telemetry->started.back() == "secret_changed");
  tell(boss, msg::secret_changed{{"elsewhere", "key"}});
  BOOST_TEST(telemetry->started.size() == before + 1);
}

BOOST_AUTO_TEST_CASE(a_new_ca_bundle_moves_the_namespaces_remotes) {
  list({an_object("a")});
  BOOST_TEST(seen().remotes.begin()->first.ns.empty());
  bundles.insert("team");
  tell(boss, msg::secret_changed{{"team", "team-ca-bundle"}});
  settle();
  BOOST_REQUIRE(seen().remotes.size() == 1U);
  BOOST_TEST(seen().remotes.begin()->first.ns == "team");
  BOOST_TEST(ready("a"));
  BOOST_TEST(git.mirrors.empty()); // the old one went, and nothing was new
}

BOOST_AUTO_TEST_SUITE_END()
