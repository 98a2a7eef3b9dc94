// links: veranda_house veranda_adapter_source veranda_adapter_secrets veranda_adapter_git
#define BOOST_TEST_MODULE followers
#include "actors/logic/ownership.hpp"
#include "actors/watcher/manifest_follower.hpp"
#include "actors/watcher/watcher.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/sources.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fstream>

using namespace veranda;
using namespace veranda::test;

namespace {

using names = std::vector<std::string>;

struct follower_fixture : actor_fixture {
  follower_fixture() { boss = spawn(fake_supervisor, heard); }
  void at_end() override { boss = nullptr; }
  [[nodiscard]] names take_heard() { return std::exchange(heard->heard, {}); }

  std::shared_ptr<supervisor_script> heard = std::make_shared<supervisor_script>();
  supervisor_actor boss;
};

struct watched : follower_fixture {
  /// Starts the watcher after the script is written.
  void open() {
    at_rest = [this] { return source->idle >= 20; };
    spawn(watcher, watcher_deps{env, source, boss, 250ms, 1'000ms, 30'000ms});
    quiet();
  }
  void quiet() {
    source->idle = 0;
    settle();
  }
  /// Time passes, then what is due happens.
  void later(std::chrono::nanoseconds d) {
    advance(d);
    quiet();
  }
  names take_calls() { return std::exchange(source->calls, {}); }
  static source::repository_event event(source::repository_event_type type, const std::string& name, const std::string& version) {
    source::repository_event e;
    e.type = type;
    e.object.meta.key = {"team", name};
    e.object.meta.resource_version = version;
    return e;
  }
  static failure fails(ec code) { return {code, "it failed", {}, {}, {}}; }

  std::shared_ptr<fake_repository_source> source = std::make_shared<fake_repository_source>();
};

using events = std::vector<source::repository_event>;
using enum source::repository_event_type;

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_watcher, watched)

BOOST_AUTO_TEST_CASE(lists_then_follows_in_order_from_where_the_list_ended) {
  source->lists.push_back(source::repository_list{"5", {repository_object{}, repository_object{}}});
  source->polls.push_back(events{event(added, "a", "6"), event(modified, "a", "7"), event(bookmark, "", "9")});
  source->polls.push_back(events{event(deleted, "a", "11")});
  open();
  BOOST_TEST(take_heard() == (names{"list 2", "changed team/a", "changed team/a", "deleted team/a"}), boost::test_tools::per_element());
  BOOST_TEST((take_calls() == names{"list", "poll 5", "poll 9"})); // a bookmark moves the position
  BOOST_TEST((telemetry->watched == names{"added", "modified", "bookmark", "deleted"}));
}

BOOST_AUTO_TEST_CASE(a_position_that_is_too_old_is_followed_by_a_list_at_once) {
  source->polls.push_back(fails(ec::stale));
  source->lists.push_back(source::repository_list{"1", {}});
  source->lists.push_back(source::repository_list{"8", {repository_object{}}});
  open();
  later(0s);
  BOOST_TEST(take_heard() == (names{"list 0", "list 1"}), boost::test_tools::per_element());
  BOOST_TEST((telemetry->watch_restarts == names{"expired"}));
}

BOOST_AUTO_TEST_CASE(failures_wait_one_second_doubling_to_thirty) {
  for (int i = 0; i < 8; ++i)
    source->lists.push_back(fails(ec::unavailable));
  open();
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    BOOST_TEST((take_calls() == names{"list"}));
    later(wait - 1ms);
    BOOST_TEST(take_calls().empty());
    later(1ms);
  }
  BOOST_TEST((take_calls() == names{"list"}));
  later(30s);
  BOOST_TEST(take_heard() == (names{"list 0"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_good_answer_starts_the_waits_anew) {
  source->lists.push_back(fails(ec::unavailable));
  source->lists.push_back(source::repository_list{"1", {}});
  source->polls.push_back(fails(ec::unavailable));
  open();
  later(1s); // list, and the poll fails
  take_calls();
  later(999ms);
  BOOST_TEST(take_calls().empty());
  later(1ms);
  BOOST_TEST((take_calls() == names{"list"}));
}

BOOST_AUTO_TEST_CASE(somebody_else_may_speak_of_what_goes_wrong) {
  names told;
  source->lists.push_back(fails(ec::unavailable));
  source->lists.push_back(source::repository_list{"1", {}});
  source->polls.push_back(fails(ec::stale));
  at_rest = [this] { return source->idle >= 20; };
  watcher_deps deps{env, source, boss};
  deps.problem = [&](const std::optional<failure>& why) { told.push_back(why ? std::string{to_string(why->code)} : "well"); };
  spawn(watcher, std::move(deps));
  quiet();
  later(1s);
  BOOST_TEST(told == (names{"unavailable", "well", "stale", "well"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_failed_watch_loses_nothing) {
  source->lists.push_back(source::repository_list{"1", {}});
  source->polls.push_back(events{event(added, "a", "2")});
  source->polls.push_back(fails(ec::unavailable));
  source->lists.push_back(source::repository_list{"4", {repository_object{}, repository_object{}}}); // `a` and what came meanwhile
  source->polls.push_back(events{event(added, "c", "5")});
  open();
  later(1s);
  BOOST_TEST(take_heard() == (names{"list 0", "changed team/a", "list 2", "changed team/c"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(listing_is_work_and_waiting_is_none) {
  const auto handler = [&] { return env.cells->snapshot().at(0).handler; };
  std::string listing, waiting = "never asked";
  source->during_list = [&] { listing = handler(); };
  source->during_poll = [&] { waiting = handler(); };
  open();
  BOOST_TEST(listing == "continue_reading");
  BOOST_TEST(waiting == "");
  source->during_list = source->during_poll = nullptr;
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct followed : follower_fixture {
  void open() {
    objects_actor = spawn(fake_object_store, objects);
    at_rest = [this] { return directory->idle >= 20; };
    manifest_follower_deps deps;
    deps.env = env;
    deps.directory = directory;
    deps.objects_reader = reader;
    deps.secrets = secrets;
    deps.merge = logic::merge_managed;
    deps.objects = objects_actor;
    deps.supervisor = boss;
    deps.first_applied = [this] { ++first_applied; };
    deps.problems = [this](const std::vector<source::manifest_problem>& p) {
      reported.push_back(p.size());
      last_problem = p.empty() ? "" : source::describe(p.back());
    };
    deps.planning = planning;
    deps.permit = permit;
    spawn(manifest_follower, std::move(deps));
    quiet();
  }
  void quiet() {
    directory->idle = 0;
    settle();
  }
  void later(std::chrono::nanoseconds d) {
    advance(d);
    quiet();
  }
  void at_end() override {
    objects->held.clear();
    objects_actor = nullptr;
    follower_fixture::at_end();
  }
  static source::manifest_object a_repository(const std::string& name, const std::string& branch = "main") {
    return {"repositories.config.porch.kpt.dev",
            {"team", name},
            name + ".yaml",
            1,
            R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + name +
              R"(","namespace":"team"},"spec":{"type":"git","git":{"repo":"https://git.example/x","branch":")" + branch + R"("}}})",
            true};
  }
  static source::manifest_object a_secret(const std::string& name, const std::string& digest) {
    return {"secrets", {"team", name}, name + ".yaml", 1,
            R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":")" + name + R"(","namespace":"team","annotations":{"veranda.dev/secret-digest":")" + digest + R"("}}})",
            true};
  }
  static source::manifest_state state(std::vector<source::manifest_object> all, std::vector<source::manifest_problem> problems = {}) {
    source::manifest_state s;
    s.objects = std::move(all);
    s.problems = std::move(problems);
    return s;
  }
  /// What was written, `create a`.
  names take_written() {
    names out;
    for (const auto& w : std::exchange(objects->writes, {}))
      out.push_back(std::string{w.operation == msg::object_operation::create ? "create " : w.operation == msg::object_operation::update ? "update " : "remove "} +
                    w.key.name);
    return out;
  }
  static std::optional<failure> full_disk(const msg::write_object&) { return failure{ec::unavailable, "no space left on device", {}, {}, {}}; }

  std::shared_ptr<fake_manifest_directory> directory = std::make_shared<fake_manifest_directory>();
  std::shared_ptr<store_script> objects = std::make_shared<store_script>();
  std::shared_ptr<fake_objects_reader> reader = std::make_shared<fake_objects_reader>(objects);
  std::shared_ptr<secrets::secret_files> secrets = std::make_shared<secrets::secret_files>();
  object_store_actor objects_actor;
  source::plan_options planning;
  std::shared_ptr<source::deletion_permit> permit;
  std::string last_problem;
  unsigned first_applied = 0;
  std::vector<std::size_t> reported;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(the_manifest_follower, followed)

BOOST_AUTO_TEST_CASE(brings_files_into_the_store_and_follows_them) {
  directory->state = state({a_repository("a"), a_repository("b")});
  open();
  BOOST_TEST((take_written() == names{"create a", "create b"}));
  BOOST_TEST(first_applied == 1U);
  directory->say(state({a_repository("a", "next"), a_repository("c")}));
  quiet();
  BOOST_TEST((take_written() == names{"update a", "create c", "remove b"}));
  BOOST_TEST(first_applied == 1U);
  directory->say(directory->state);
  quiet();
  BOOST_TEST(take_written().empty()); // nothing new
}

BOOST_AUTO_TEST_CASE(a_write_that_fails_keeps_nobody_waiting_and_is_tried_again_with_growing_waits) {
  objects->fail = full_disk;
  directory->state = state({a_repository("a")});
  open();
  BOOST_TEST(first_applied == 1U);
  for (const auto wait : {1s, 2s, 4s}) {
    BOOST_TEST((take_written() == names{"create a"}));
    later(wait - 1ms);
    BOOST_TEST(take_written().empty());
    later(1ms);
  }
  objects->fail = nullptr;
  later(8s);
  BOOST_TEST(objects->objects.size() == 1U);
  BOOST_TEST(first_applied == 1U);
}

BOOST_AUTO_TEST_CASE(what_the_store_refuses_is_a_problem_of_the_object) {
  objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::invalid_spec, "names are missing", {}, "metadata.name", {}}}; };
  directory->state = state({a_repository("a")});
  open();
  take_written();
  BOOST_TEST(telemetry->problems == 1U);
  later(1min);
  BOOST_TEST(take_written().empty());
}

BOOST_AUTO_TEST_CASE(of_an_empty_directory_is_applied_at_once) {
  open();
  BOOST_TEST(first_applied == 1U);
}

BOOST_AUTO_TEST_CASE(one_write_that_fails_does_not_hold_the_others_and_is_planned_anew) {
  objects->fail = [](const msg::write_object& w) { return w.key.name == "a" ? full_disk(w) : std::nullopt; };
  directory->state = state({a_repository("a"), a_repository("b")});
  open();
  BOOST_TEST((take_written() == names{"create a", "create b"}));
  objects->fail = nullptr;
  later(1s);
  BOOST_TEST((take_written() == names{"create a"}));
}

BOOST_AUTO_TEST_CASE(a_store_that_cannot_be_read_is_tried_again) {
  reader->failing = failure{ec::unavailable, "busy", {}, {}, {}};
  directory->state = state({a_repository("a")});
  open();
  BOOST_TEST(take_written().empty());
  reader->failing.reset();
  later(1s);
  BOOST_TEST((take_written() == names{"create a"}));
  BOOST_TEST(first_applied == 1U);
}

BOOST_AUTO_TEST_CASE(scanning_is_work_and_waiting_is_none) {
  const auto handler = [&] { return env.cells->snapshot().at(0).handler; };
  std::string scanning, waiting = "never asked";
  directory->during_scan = [&] { scanning = handler(); };
  directory->during_wait = [&] { waiting = handler(); };
  open();
  BOOST_TEST(scanning == "continue_reading");
  BOOST_TEST(waiting == "");
  directory->during_scan = directory->during_wait = nullptr;
}

BOOST_AUTO_TEST_CASE(problems_are_counted_and_mended_ones_go) {
  const source::manifest_problem one{"a.yaml", 1, "Repository team/a", "spec.git.branch", "a b", "must be a valid git branch name"};
  directory->state = state({}, {one});
  open();
  BOOST_TEST(telemetry->problems == 1U);
  directory->say(state({a_repository("a")}));
  quiet();
  BOOST_TEST(telemetry->problems == 0U);
  BOOST_TEST((reported == std::vector<std::size_t>{1, 0}));
}

namespace {

/// Twelve objects whose files went, but for one.
struct held : followed {
  held() {
    planning.release = "touch it";
    permit = std::make_shared<source::deletion_permit>(data.path() / "allow-deletion");
    std::vector<source::manifest_object> all;
    for (char c = 'a'; c < 'm'; ++c)
      all.push_back(a_repository(std::string(1, c)));
    directory->state = state(all);
  }
  void lose_all_but_one() {
    open();
    take_written();
    directory->say(state({a_repository("a")}));
    quiet();
  }
  void allow() const { std::ofstream{data.path() / "allow-deletion"}; }
  [[nodiscard]] std::size_t stored() const { return objects->objects.size(); }
  test::temporary_directory data;
};

} // namespace

BOOST_FIXTURE_TEST_CASE(many_deletions_wait_for_a_permit_that_counts_once, held) {
  lose_all_but_one();
  BOOST_TEST(stored() == 12U);
  BOOST_REQUIRE(telemetry->problems == 1U);
  BOOST_TEST(last_problem.ends_with("or remove the objects with: touch it"));
  allow();
  quiet();
  BOOST_TEST(stored() == 1U);
  BOOST_TEST(telemetry->problems == 0U);
  BOOST_TEST(!std::filesystem::exists(data.path() / "allow-deletion"));
  std::vector<source::manifest_object> others;
  for (char c = 'n'; c < 'z'; ++c)
    others.push_back(a_repository(std::string(1, c)));
  directory->say(state(others));
  quiet();
  directory->say(state({}));
  quiet();
  BOOST_TEST(stored() == 12U); // held again
}

BOOST_FIXTURE_TEST_CASE(a_permit_given_before_it_is_needed_is_spent, held) {
  open();
  allow();
  quiet();
  BOOST_TEST(!std::filesystem::exists(data.path() / "allow-deletion"));
  directory->say(state({a_repository("a")}));
  quiet();
  BOOST_TEST(stored() == 12U);
}

BOOST_FIXTURE_TEST_CASE(a_permit_is_good_until_the_plan_is_carried_out, held) {
  lose_all_but_one();
  objects->fail = full_disk;
  allow();
  quiet();
  BOOST_TEST(stored() == 12U);
  objects->fail = nullptr;
  later(2s);
  BOOST_TEST(stored() == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_permit_that_cannot_be_removed_is_not_heeded, held) {
  lose_all_but_one();
  std::filesystem::create_directory(data.path() / "allow-deletion");
  quiet();
  BOOST_TEST(stored() == 12U);
}

BOOST_FIXTURE_TEST_CASE(with_the_setting_nothing_is_held, held) {
  planning.allow_deletion = true;
  lose_all_but_one();
  BOOST_TEST(stored() == 1U);
}

BOOST_AUTO_TEST_CASE(files_with_secrets_that_others_can_read_are_counted) {
  const auto exposed = [&] {
    const auto cells = env.cells->snapshot();
    for (const auto& [name, value] : cells.front().details)
      if (name == "exposed_files")
        return value;
    return std::string{};
  };
  auto now = state({a_secret("key", "1")});
  now.exposed_files = {{"key.yaml", 7}};
  directory->state = now;
  open();
  BOOST_TEST(exposed() == "1");
  now.exposed_files.clear();
  directory->say(now);
  quiet();
  BOOST_TEST(exposed() == "0");
}

BOOST_AUTO_TEST_CASE(a_secret_that_changes_comes_or_goes_is_told_but_not_those_of_the_start) {
  directory->state = state({a_repository("a"), a_secret("key", "1"), a_secret("other", "1")});
  open();
  BOOST_TEST(take_heard().empty());
  BOOST_TEST(secrets->find({"team", "key"}).value_or("") == "key.yaml");
  directory->say(state({a_repository("a"), a_secret("key", "2"), a_secret("new", "1")}));
  quiet();
  BOOST_TEST(take_heard() == (names{"secret team/key", "secret team/new", "secret team/other"}), boost::test_tools::per_element());
  BOOST_TEST(!secrets->find({"team", "other"}));
}

BOOST_AUTO_TEST_SUITE_END()
