// links: veranda_actors veranda_adapter_kpt
#define BOOST_TEST_MODULE supervisor
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

constexpr const char* other_url = "https://git.example/other.git";

struct whole_tree : house {
  whole_tree() {
    git.publish(url, "main", "app", 1);
    git.publish(other_url, "main", "web", 1);
    open();
  }
  [[nodiscard]] std::set<std::string> running_names() {
    std::set<std::string> out;
    for (const auto& [k, e] : seen().entries)
      out.insert(k.name);
    return out;
  }
  answer<msg::first_syncs> await_first() {
    auto out = ask<msg::first_syncs>(boss, msg::await_first_syncs{});
    settle();
    return out;
  }
};

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

BOOST_FIXTURE_TEST_SUITE(after_a_restart_of_the_daemon, whole_tree)

BOOST_AUTO_TEST_CASE(what_was_synced_costs_a_listing) {
  list({an_object("a")});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(!alive(boss));
  const auto jobs = workers->count("sync");
  open_supervisor();
  list({an_object("a")});
  BOOST_TEST(ready("a"));
  BOOST_TEST(workers->count("sync ") == jobs);
  BOOST_TEST(telemetry->unchanged == 1U);
}

BOOST_AUTO_TEST_CASE(rows_and_mirrors_of_objects_that_went_meanwhile_are_removed) {
  list({an_object("a"), an_object("b", other_url)});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(cache.rows.size() == 2U);
  open_supervisor();
  list({an_object("a")});
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.find(key("b")) == nullptr);
  BOOST_TEST(workers->count("sweep_mirrors") == 2U);
}

BOOST_AUTO_TEST_CASE(one_made_anew_meanwhile_replaces_the_rows_of_the_old_one) {
  list({an_object("a")});
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  open_supervisor();
  list({an_object("a", url, "uid-second")});
  advance(5s);
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.count("uid-second") == 1U);
  BOOST_TEST(telemetry->restarts == 0U); // nobody took the new one's rows away
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(deaths, whole_tree)

BOOST_AUTO_TEST_CASE(a_repository_is_restarted_after_a_second_with_what_it_knew) {
  list({an_object("a")});
  const auto first = repository_of("a");
  const auto jobs = workers->count("sync ");
  crash(first);
  settle();
  BOOST_TEST(!alive(first));
  advance(900ms);
  BOOST_TEST(!repository_of("a"));
  advance(200ms);
  BOOST_TEST(alive(repository_of("a")));
  BOOST_TEST(workers->count("sync ") == jobs); // its basis was durable
  BOOST_TEST(telemetry->restarts == 1U);
}

BOOST_AUTO_TEST_CASE(its_job_is_stopped_with_it) {
  workers->hold = true;
  list({an_object("a")});
  crash(repository_of("a"));
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
}

BOOST_AUTO_TEST_CASE(its_job_is_stopped_even_when_it_is_killed) {
  workers->hold = true;
  list({an_object("a")});
  caf::anon_send_exit(repository_of("a"), caf::exit_reason::kill);
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
}

BOOST_AUTO_TEST_CASE(five_in_a_row_are_said_in_the_condition_and_the_waits_double) {
  git.remotes[url].listing_fails = failure{ec::unreachable, "refused", {}, {}, {}}; // so that no first sync resets the count
  list({an_object("a")});
  for (int i = 0; i < 5; ++i) {
    crash(repository_of("a"));
    settle();
    BOOST_TEST(says("a", "ended 5 times in a row") == (i == 4));
    advance(std::chrono::seconds{1 << i} - 100ms);
    BOOST_TEST(!repository_of("a"));
    advance(200ms);
    BOOST_TEST(alive(repository_of("a")));
  }
  git.remotes[url].listing_fails.reset();
  advance_until([&] { return ready("a"); }, 10min);
  crash(repository_of("a")); // a good sync starts the count anew
  advance(1s + 100ms);
  BOOST_TEST(alive(repository_of("a")));
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_idle_is_started_again) {
  list({an_object("a"), an_object("b")});
  const auto old = remote_of();
  crash(old);
  settle();
  BOOST_TEST(!alive(old));
  BOOST_TEST(alive(remote_of()));
  BOOST_TEST(state_of<remote_state>(remote_of()).members.size() == 2U);
  git.publish(url, "main", "late", 1);
  advance(10min);
  BOOST_TEST(cached("a").size() == 3U);
  BOOST_TEST(cached("b").size() == 3U);
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_while_it_lists_costs_no_deadline) {
  http->hold = true;
  list({an_object("a")});
  crash(remote_of());
  settle();
  http->release();
  advance_until([&] { return ready("a"); }, 15s);
}

BOOST_AUTO_TEST_CASE(a_remote_that_dies_during_a_job_costs_no_deadline) {
  workers->hold = true;
  list({an_object("a")});
  crash(remote_of());
  settle();
  BOOST_TEST(workers->held.front().job.cancel->stop.load());
  workers->release();
  advance_until([&] { return ready("a"); }, 15s);
  BOOST_TEST(workers->broken_rules.empty());
}

BOOST_AUTO_TEST_CASE(a_remote_that_ends_while_somebody_joins_it_is_started_again) {
  list({an_object("a")});
  remove("a");
  put(an_object("b"));
  advance_until([&] { return ready("b"); }, 15s);
  BOOST_TEST(git.mirrors.size() == 1U);
}

BOOST_AUTO_TEST_CASE(at_its_own_end_it_takes_everybody_along) {
  list({an_object("a"), an_object("b", other_url)});
  const auto a = repository_of("a");
  const auto r = remote_of();
  exit_now(boss, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(!alive(boss));
  BOOST_TEST(!alive(a));
  BOOST_TEST(!alive(r));
  BOOST_TEST(cache.rows.size() == 2U);
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

BOOST_FIXTURE_TEST_SUITE(first_syncs, whole_tree)

BOOST_AUTO_TEST_CASE(are_waited_for_and_counted) {
  git.remotes[other_url].listing_fails = failure{ec::unreachable, "refused", {}, {}, {}};
  auto suspended = an_object("c");
  suspended.meta.annotations[std::string{api_names::suspend_annotation}] = "true";
  auto broken = an_object("d");
  broken.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  auto oci = an_object("e");
  oci.spec.type = repository_type::oci;
  oci.spec.git.reset();
  oci.spec.oci.emplace();
  const auto early = await_first();
  workers->hold = true;
  list({an_object("a"), an_object("b", other_url), suspended, broken, oci});
  BOOST_TEST(!early->has_value());
  workers->release();
  settle();
  BOOST_REQUIRE(early->has_value());
  const auto sums = ***early;
  BOOST_TEST(sums.ready == 1U);
  BOOST_TEST(sums.failed == 3U); // unreachable, invalid, unsupported
  BOOST_TEST(sums.suspended == 1U);
  BOOST_TEST(await_first()->has_value());
}

BOOST_AUTO_TEST_CASE(of_an_empty_list_are_done_at_once) {
  const auto early = await_first();
  BOOST_TEST(!early->has_value());
  list({});
  BOOST_TEST(early->has_value());
}

BOOST_AUTO_TEST_CASE(that_are_redone_at_once_count_by_how_they_end) {
  cache.failing["apply_delta"] = {ec::conflict, "a tree was swept", {}, {}, {}};
  unsigned tries = 0;
  workers->instead = [&](const msg::job&) -> std::optional<result<msg::job_result>> {
    if (++tries == 2)
      cache.failing.clear();
    return std::nullopt;
  };
  const auto sums = await_first();
  list({an_object("a")});
  BOOST_REQUIRE(sums->has_value());
  BOOST_TEST((***sums).ready == 1U);
  BOOST_TEST((***sums).failed == 0U);
}

BOOST_AUTO_TEST_CASE(that_wait_for_a_place_in_the_queue_have_not_failed) {
  unsigned tries = 0;
  workers->instead = [&](const msg::job& job) -> std::optional<result<msg::job_result>> {
    if (job.kind == msg::job_kind::sync && ++tries == 1)
      return result<msg::job_result>{failure{ec::overloaded, "the queue of syncs is full", {}, {}, {}}};
    return std::nullopt;
  };
  const auto sums = await_first();
  list({an_object("a")});
  BOOST_TEST(!sums->has_value());
  advance_until([&] { return sums->has_value(); }, 10min);
  BOOST_TEST((***sums).ready == 1U);
}

BOOST_AUTO_TEST_CASE(of_one_that_becomes_invalid_meanwhile_have_failed) {
  workers->hold = true;
  const auto sums = await_first();
  list({an_object("a")});
  change("a", [](auto& o) { o.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"}); });
  workers->release();
  settle();
  BOOST_REQUIRE(sums->has_value());
  BOOST_TEST((***sums).failed == 1U);
}

BOOST_AUTO_TEST_CASE(of_one_that_is_deleted_meanwhile_are_not_waited_for) {
  workers->hold = true;
  const auto sums = await_first();
  list({an_object("a")});
  remove("a");
  BOOST_TEST(sums->has_value());
}

BOOST_AUTO_TEST_SUITE_END()
