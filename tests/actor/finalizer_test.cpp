// links: veranda_actors veranda_adapter_kpt
#define BOOST_TEST_MODULE finalizer
#include "tests/actor/house.hpp"
#include "tests/support/fakes/finalizers.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

using names = std::vector<std::string>;

struct held_house : house {
  held_house() {
    git.publish(url, "main", "app", 1);
    api->told = [this](const repository_object& o, bool gone) {
      if (deaf)
        return;
      if (o.meta.deleted && !gone)
        rows_at_mark = cache.rows.size();
      if (gone)
        rows_at_end = cache.rows.size(), mirrors_at_end = git.mirrors.size();
      caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(o), gone});
    };
    finalizers = spawn(fake_finalizers, api);
    open();
  }
  ~held_house() { end_all(); }
  /// What a watcher's first list says.
  void list_all() {
    std::vector<repository_object> all;
    for (const auto& [k, o] : api->objects) {
      objects->put(o.meta.key, o.meta.uid);
      all.push_back(o);
    }
    tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(all))});
  }
  void apply(const repository_object& o) {
    api->put(o);
    list_all();
  }
  void remove_object(const std::string& name) {
    api->remove(key(name), wall_now());
    settle();
  }
  [[nodiscard]] bool there(const std::string& name) const { return api->objects.contains(key(name)); }
  /// The daemon ends as if its power had gone, and starts again over the same cache.
  void power_cut() {
    for (const auto& [k, e] : seen().entries)
      if (e.handle)
        caf::anon_send_exit(e.handle, caf::exit_reason::kill);
    for (const auto& [identity, entry] : seen().remotes)
      caf::anon_send_exit(entry.handle, caf::exit_reason::kill);
    caf::anon_send_exit(boss, caf::exit_reason::kill);
    settle();
    open_supervisor();
  }

  std::shared_ptr<finalizer_script> api = std::make_shared<finalizer_script>();
  bool deaf = false; ///< no watch
  std::size_t rows_at_mark = 0, rows_at_end = 99, mirrors_at_end = 99;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(finalizers, held_house)

BOOST_AUTO_TEST_CASE(is_set_before_anything_of_the_object_is_cached) {
  api->fail = failure{ec::unavailable, "the API server is away", {}, {}, {}};
  apply(an_object("a"));
  advance(10s);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(listings() == 0U);
  BOOST_TEST(says("a", "the finalizer config.porch.kpt.dev/repository could not be set"));
  api->fail.reset();
  advance(1min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST((api->done == names{"hold team/a"}));
}

BOOST_AUTO_TEST_CASE(is_not_set_again_when_it_is_there) {
  auto o = an_object("a");
  o.meta.finalizers = {"example.org/f", std::string{api_names::repository_finalizer}};
  apply(o);
  advance(1h);
  BOOST_TEST(ready("a"));
  BOOST_TEST(api->done.empty());
}

BOOST_AUTO_TEST_CASE(somebody_who_takes_it_away_finds_it_there_again) {
  apply(an_object("a"));
  api->take_off(key("a"), std::string{api_names::repository_finalizer});
  settle();
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(an_object_with_problems_is_held_once_they_are_gone) {
  auto o = an_object("a");
  o.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  apply(o);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(status("a").starts_with("Ready=False"));
  o.problems.clear();
  ++o.meta.generation;
  apply(o);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_CASE(goes_after_rows_and_mirror) {
  apply(an_object("a"));
  BOOST_TEST(git.mirrors.size() == 1U);
  remove_object("a");
  BOOST_TEST(!there("a"));
  BOOST_TEST(rows_at_mark == 1U);
  BOOST_TEST(rows_at_end == 0U);
  BOOST_TEST(mirrors_at_end == 0U);
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(a_mirror_that_others_use_is_not_waited_for) {
  apply(an_object("a"));
  apply(an_object("b"));
  remove_object("a");
  BOOST_TEST(!there("a"));
  BOOST_TEST(mirrors_at_end == 1U);
  BOOST_TEST(ready("b"));
}

BOOST_AUTO_TEST_CASE(a_mirror_that_takes_long_is_not_waited_for_long) {
  apply(an_object("a"));
  workers->hold = true;
  remove_object("a");
  BOOST_TEST(there("a"));
  BOOST_TEST(cache.rows.empty());
  advance(30s);
  BOOST_TEST(!there("a"));
  workers->release();
  settle();
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(a_sync_that_runs_is_stopped_at_once) {
  workers->hold = true;
  apply(an_object("a"));
  BOOST_REQUIRE(workers->held.size() == 1U);
  const auto cancel = workers->held.front().job.cancel;
  remove_object("a");
  BOOST_TEST(cancel->stop.load());
  BOOST_TEST(cache.rows.empty());
  workers->release();
  settle();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
}

BOOST_AUTO_TEST_CASE(rows_that_cannot_be_removed_keep_it) {
  apply(an_object("a"));
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove_object("a");
  advance(5min);
  BOOST_TEST(api->held(key("a")));
  cache.failing.clear();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(rows_at_end == 0U);
}

BOOST_AUTO_TEST_CASE(an_api_server_that_is_away_is_asked_again) {
  apply(an_object("a"));
  api->fail = failure{ec::unreachable, "refused", {}, {}, {}};
  remove_object("a");
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(api->held(key("a")));
  advance(1min);
  api->fail.reset();
  advance(10s);
  BOOST_TEST(!there("a"));
}

BOOST_AUTO_TEST_CASE(those_of_others_stay) {
  auto o = an_object("a");
  o.meta.finalizers = {"example.org/f"};
  apply(o);
  remove_object("a");
  BOOST_TEST((api->objects.at(key("a")).meta.finalizers == names{"example.org/f"}));
  BOOST_TEST(cache.rows.empty());
  const auto before = api->done.size();
  list_all(); // it is still being deleted: nothing is begun anew
  advance(1h);
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().entries.empty());
  BOOST_TEST(api->done.size() == before);
}

BOOST_AUTO_TEST_CASE(deleted_while_the_daemon_was_down) {
  apply(an_object("a"));
  apply(an_object("b", "https://git.example/other.git"));
  power_cut();
  deaf = true;
  remove_object("a");
  deaf = false;
  list_all();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.find(key("a")) == nullptr);
  BOOST_TEST(cache.find(key("b")) != nullptr);
  BOOST_TEST(rows_at_end == 1U);
}

BOOST_AUTO_TEST_CASE(one_that_was_never_seen_is_let_go) {
  auto o = an_object("a");
  o.meta.finalizers = {std::string{api_names::repository_finalizer}};
  o.meta.deleted = wall_now();
  apply(o);
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(listings() == 0U);
}

BOOST_AUTO_TEST_CASE(its_actor_dies_while_it_closes) {
  apply(an_object("a"));
  cache.failing["close"] = {ec::unavailable, "no space left on device", {}, {}, {}};
  remove_object("a");
  crash(repository_of("a"));
  settle();
  BOOST_TEST(there("a"));
  cache.failing.clear();
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(deleted_while_its_actor_waits_for_a_restart) {
  apply(an_object("a"));
  crash(repository_of("a"));
  settle();
  remove_object("a");
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(git.mirrors.empty());
}

/// The daemon dies after each number of steps of a deletion; the next one ends what it began, and nothing goes too early.
BOOST_AUTO_TEST_CASE(it_dies_at_any_step) {
  for (int steps = 0; steps < 60; ++steps) {
    BOOST_TEST_CONTEXT("after " << steps << " steps") {
      rows_at_end = 99;
      apply(an_object("a", url, "uid-" + std::to_string(steps)));
      BOOST_TEST(api->held(key("a")));
      api->remove(key("a"), wall_now());
      for (int n = 0; n < steps && !idle(); ++n)
        step();
      power_cut();
      list_all();
      advance(2min);
      BOOST_TEST(!there("a"));
      BOOST_TEST(cache.rows.empty());
      BOOST_TEST((rows_at_end == 0U));
      BOOST_TEST(seen().releases.empty());
    }
  }
}

/// And while it is created: what is cached is held.
BOOST_AUTO_TEST_CASE(it_dies_at_any_step_of_a_first_sync) {
  for (int steps = 0; steps < 60; ++steps) {
    BOOST_TEST_CONTEXT("after " << steps << " steps") {
      const auto o = an_object("a", url, "uid-" + std::to_string(steps));
      api->put(o);
      objects->put(o.meta.key, o.meta.uid);
      caf::anon_send(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::vector<repository_object>{o})});
      for (int n = 0; n < steps && !idle(); ++n) {
        step();
        BOOST_TEST((cache.rows.empty() || api->held(key("a"))));
      }
      power_cut();
      remove_object("a");
      list_all();
      advance(2min);
      BOOST_TEST(!there("a"));
      BOOST_TEST(cache.rows.empty());
    }
  }
}

BOOST_AUTO_TEST_CASE(made_anew_under_its_name_at_once) {
  apply(an_object("a"));
  workers->hold = true;
  remove_object("a");
  api->take_off(key("a"), std::string{api_names::repository_finalizer}); // by force
  auto anew = an_object("a", url, "uid-second");
  api->put(anew);
  list_all();
  workers->release();
  advance(2min);
  BOOST_TEST(ready("a"));
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(cache.rows.size() == 1U);
  BOOST_TEST(cache.rows.begin()->first == "uid-second");
  BOOST_TEST(seen().releases.empty());
}

/// Its labels do not fit the selector any more: a watch says that it is gone.
BOOST_AUTO_TEST_CASE(one_that_left_what_is_followed_is_let_go_of) {
  apply(an_object("a"));
  deaf = true;
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(api->objects.at(key("a"))), true});
  advance(1min);
  BOOST_TEST(there("a"));
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(cache.rows.empty());
  deaf = false;
  list_all(); // and it comes back
  advance(1min);
  BOOST_TEST(api->held(key("a")));
  BOOST_TEST(ready("a"));
  BOOST_TEST(seen().releases.empty());
}

BOOST_AUTO_TEST_CASE(one_that_left_while_nobody_looked_is_let_go_of) {
  apply(an_object("a"));
  power_cut();
  deaf = true;
  tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>()});
  advance(1min);
  BOOST_TEST(!api->held(key("a")));
  BOOST_TEST(cache.rows.empty());
  BOOST_TEST(seen().releases.empty());
}

/// Whoever left may have gone where we have no rights: nobody waits for us there.
BOOST_AUTO_TEST_CASE(letting_go_without_the_right_is_given_up_when_nobody_waits) {
  apply(an_object("a"));
  api->fail = failure{ec::auth_rejected, "cannot patch", {}, {}, {}};
  caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(api->objects.at(key("a"))), true});
  settle();
  advance(1min);
  BOOST_TEST(seen().releases.empty());
  BOOST_TEST(cache.rows.empty());
}

/// Without a wish for finalizers none is set, and those that were are taken off.
BOOST_AUTO_TEST_CASE(turned_off_it_still_lets_go) {
  apply(an_object("a"));
  holds = false;
  power_cut();
  list_all();
  apply(an_object("b"));
  BOOST_TEST(!api->held(key("b")));
  BOOST_TEST(ready("b"));
  remove_object("a");
  remove_object("b");
  advance(1min);
  BOOST_TEST(!there("a"));
  BOOST_TEST(!there("b"));
  BOOST_TEST(cache.rows.empty());
}

BOOST_AUTO_TEST_CASE(without_a_keeper_nothing_changes) {
  finalizers = nullptr;
  power_cut();
  auto o = an_object("a");
  apply(o);
  BOOST_TEST(ready("a"));
  o.meta.finalizers = {std::string{api_names::repository_finalizer}};
  o.meta.deleted = wall_now();
  apply(o);
  BOOST_TEST(api->done.empty());
  BOOST_TEST(ready("a"));
}

BOOST_AUTO_TEST_SUITE_END()
