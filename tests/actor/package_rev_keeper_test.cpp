// links: veranda_actors_kube veranda_adapter_store
#define BOOST_TEST_MODULE package_rev_keeper
#include "tests/support/mirrored_cache.hpp"

using namespace veranda;
using namespace veranda::test;
using nlohmann::json;
using names = std::vector<std::string>;

namespace {

const std::string a1 = "repo.apps.a.v1", b1 = "repo.apps.b.v1";
const object_key a_key{"default", a1}, b_key{"default", b1};

package_revision rev(const std::string& package, std::uint64_t content = 1, const std::string& repository = "repo") { return revision_of(repository, package, 1, content); }

struct mirror : mirrored_cache {
  mirror() : mirrored_cache(true) {}
  const json& metadata(const object_key& key) { return server.objects.at(key)["metadata"]; }
  void add(std::vector<package_revision> all) { synced(delta(std::move(all))); }
  std::string detail(const std::string& name) {
    for (const auto& cell : env.cells->snapshot())
      if (cell.kind == package_rev_keeper_state::name)
        for (const auto& [key, value] : cell.details)
          if (key == name)
            return value;
    return {};
  }
  static kube::api_answer refusal(int status, const std::string& reason) {
    kube::api_answer a;
    a.status = status;
    a.content_type = "application/json";
    a.body = json{{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Failure"}, {"message", "no"}, {"reason", reason}, {"code", status}}.dump();
    return a;
  }
};

bool about_one(const kube::api_request& r) { return r.changes_something() || r.target.find("/packagerevs/") != std::string::npos; }

} // namespace

BOOST_FIXTURE_TEST_SUITE(keeping, mirror)

BOOST_AUTO_TEST_CASE(an_object_says_what_the_revision_is) {
  auto draft = rev("b", 2);
  draft.lifecycle = lifecycle::draft;
  draft.key.revision = 0;
  auto branch = rev("c", 3);
  branch.from_branch = true;
  branch.key.revision = -1;
  auto published = rev("a");
  published.latest = true;
  add({published, draft, branch});
  expect({a1, b1, "repo.apps.c.v1"});
  const json wanted{{"veranda.dev/package", "apps/a"}, {"veranda.dev/workspace", "v1"},    {"veranda.dev/revision", "1"},
                    {"veranda.dev/lifecycle", "Published"}, {"veranda.dev/latest", "true"}, {"veranda.dev/ref", "refs/tags/apps/a/v1"},
                    {"veranda.dev/commit", published.commit.hex()}, {"veranda.dev/tree", published.tree.hex()}};
  BOOST_TEST(metadata(a_key)["annotations"].dump() == wanted.dump());
  BOOST_TEST(metadata(a_key)["labels"].dump() == R"({"internal.porch.kpt.dev/repository":"repo"})");
  BOOST_TEST(metadata(a_key)["finalizers"].dump() == R"(["internal.porch.kpt.dev/packagerevision"])");
  BOOST_TEST(metadata(a_key)["ownerReferences"].dump() == R"([{"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","name":"repo","uid":"uid-repo"}])");
  BOOST_TEST(metadata(b_key)["annotations"]["veranda.dev/lifecycle"] == "Draft");
  BOOST_TEST(!metadata(b_key)["annotations"].contains("veranda.dev/latest"));
  BOOST_TEST(!metadata({"default", "repo.apps.c.v1"})["annotations"].contains("veranda.dev/commit"));
}

BOOST_AUTO_TEST_CASE(a_commit_that_leaves_a_package_as_it_is_writes_nothing) {
  auto branch = rev("a");
  branch.from_branch = true;
  synced(delta({branch}, {}, {}, {"basis-1", id_of(100).hex()}));
  expect({a1});
  take_asked();
  branch.commit = id_of(101);
  branch.self_lock.commit = branch.commit.hex();
  synced(delta({}, {}, {}, {"basis-2", id_of(101).hex()}));
  synced(delta({}, {branch}, {}, {"basis-3", id_of(102).hex()}));
  advance(5s);
  BOOST_TEST(take_asked().empty());
}

BOOST_AUTO_TEST_CASE(one_list_and_one_watch_are_all_the_reads) {
  std::vector<package_revision> all;
  for (int i = 0; i < 30; ++i)
    all.push_back(rev("p" + std::to_string(i)));
  add(all);
  in_step();
  BOOST_TEST(server.lists == 1U);
  BOOST_TEST(server.watches == 1U);
  const auto asked = take_asked();
  BOOST_TEST(asked.size() == 30U);
  BOOST_TEST(std::count(asked.begin(), asked.end(), "POST") == 30);
  kill_keeper();
  start_keeper();
  advance(5s);
  BOOST_TEST(take_asked().empty()); // all of it is known from the list
  BOOST_TEST(server.lists == 11U);  // in pages of three
  BOOST_TEST(detail("present") == "30");
  BOOST_TEST(detail("pending") == "0");
}

BOOST_AUTO_TEST_CASE(what_users_add_stays) {
  add({rev("a")});
  expect({a1});
  server.edit(a_key, {{"metadata",
                       {{"labels", {{"team", "blue"}}},
                        {"annotations", {{"note", "mine"}}},
                        {"finalizers", {"example.org/hold", kube::package_rev_finalizer}},
                        {"ownerReferences", {{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "x"}, {"uid", "u"}}, metadata(a_key)["ownerReferences"][0]}}}}});
  advance(5s);
  take_asked();
  synced(delta({}, {rev("a", 2)}));
  expect({a1});
  BOOST_TEST(metadata(a_key)["labels"]["team"] == "blue");
  BOOST_TEST(metadata(a_key)["annotations"]["note"] == "mine");
  BOOST_TEST(metadata(a_key)["finalizers"].dump() == R"(["example.org/hold","internal.porch.kpt.dev/packagerevision"])");
  BOOST_TEST(metadata(a_key)["ownerReferences"].size() == 2U);
  BOOST_TEST((take_asked() == names{"PATCH " + a1}));
  synced(delta({}, {}, {a1}));
  advance(5s);
  BOOST_TEST(metadata(a_key)["finalizers"].dump() == R"(["example.org/hold"])"); // it waits for whoever that is
  BOOST_TEST(metadata(a_key).contains("deletionTimestamp"));
  server.edit(a_key, {{"metadata", {{"finalizers", json::array()}}}});
  expect({});
}

BOOST_AUTO_TEST_CASE(what_is_deleted_or_edited_by_others_comes_back) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  server.remove(a_key);
  server.edit(b_key, {{"metadata", {{"annotations", {{"veranda.dev/lifecycle", "Draft"}, {"veranda.dev/latest", "true"}}}, {"ownerReferences", nullptr}}}});
  expect({a1, b1});
  server.edit(a_key, {{"metadata", {{"finalizers", nullptr}}}});
  server.edit(b_key, {{"metadata", {{"labels", nullptr}}}}); // out of the watch's sight
  expect({a1, b1});
}

BOOST_AUTO_TEST_CASE(one_that_is_there_is_adopted_with_what_others_put_there) {
  server.put(a_key, {{"annotations", {{"note", "mine"}}}, {"finalizers", {"example.org/hold"}}});
  add({rev("a")});
  expect({a1});
  BOOST_TEST((take_asked() == names{"POST", "GET " + a1, "PATCH " + a1}));
  BOOST_TEST(metadata(a_key)["annotations"]["note"] == "mine");
  BOOST_TEST(metadata(a_key)["finalizers"].dump() == R"(["example.org/hold","internal.porch.kpt.dev/packagerevision"])");
}

BOOST_AUTO_TEST_CASE(a_conflict_is_read_and_made_good) {
  add({rev("a")});
  expect({a1});
  server.before = [this](const kube::api_request& r) -> std::optional<result<kube::api_answer>> {
    if (r.method == kube::api_method::patch) {
      server.before = nullptr;
      server.edit(a_key, {{"metadata", {{"annotations", {{"note", "in between"}}}}}});
    }
    return std::nullopt;
  };
  take_asked();
  synced(delta({}, {rev("a", 2)}));
  expect({a1});
  BOOST_TEST((take_asked() == names{"PATCH " + a1, "GET " + a1, "PATCH " + a1}));
  BOOST_TEST(metadata(a_key)["annotations"]["note"] == "in between");
}

BOOST_AUTO_TEST_CASE(objects_of_others_are_not_touched) {
  const json stranger{{"labels", {{std::string{kube::package_rev_repository_label}, "stranger"}}}, {"finalizers", {kube::package_rev_finalizer}}};
  server.put({"default", "stranger.x.v1"}, stranger);
  server.put({"elsewhere", "repo.x.v1"}, {{"labels", {{std::string{kube::package_rev_repository_label}, "repo"}}}});
  kill_keeper();
  start_keeper();
  add({rev("a")});
  advance(1min);
  BOOST_TEST((take_asked() == names{"POST"}));
  BOOST_TEST(detail("strays") == "2");
}

BOOST_AUTO_TEST_CASE(objects_of_a_repository_wait_for_its_first_sync) {
  server.put({"default", "repo.gone.v1"}, {{"labels", {{std::string{kube::package_rev_repository_label}, "repo"}}}, {"annotations", {{"note", "from before the cache was lost"}}}});
  server.put(a_key, {{"labels", {{std::string{kube::package_rev_repository_label}, "repo"}}}, {"annotations", {{"note", "mine"}}}});
  advance(1min);
  BOOST_TEST(take_asked().empty());
  add({rev("a")});
  expect({a1});
  BOOST_TEST(metadata(a_key)["annotations"]["note"] == "mine");
}

BOOST_AUTO_TEST_CASE(after_a_start_nothing_is_written_before_a_sync) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  kill_keeper();
  // Another process wrote what this cache does not know of.
  server.put({"default", "repo.apps.z.v1"}, {{"labels", {{std::string{kube::package_rev_repository_label}, "repo"}}}, {"annotations", {{"note", "mine"}}}});
  server.edit(b_key, {{"metadata", {{"annotations", {{"veranda.dev/lifecycle", "Draft"}}}}}});
  take_asked();
  const auto uids = std::exchange(synced_before, {});
  start_keeper();
  advance(1min);
  BOOST_TEST(take_asked().empty());
  BOOST_TEST(detail("strays") == "1");
  tell(keeper, msg::repository_in_step{{"default", "repo"}, "another uid"}); // of whoever had the name before
  advance(1min);
  BOOST_TEST(take_asked().empty());
  tell(keeper, msg::repository_in_step{{"default", "repo"}, uids.begin()->second});
  expect({a1, b1});
}

BOOST_AUTO_TEST_CASE(objects_of_a_repository_that_another_daemon_follows_now_stay) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  take_asked();
  close(claim); // its object lives on
  advance(1min);
  BOOST_TEST(take_asked().empty());
  BOOST_TEST(server.objects.size() == 2U);
  kill_keeper();
  start_keeper();
  advance(1min);
  BOOST_TEST(take_asked().empty());
  BOOST_TEST(detail("strays") == "2");
  server.remove(a_key); // as the garbage collector does in the end
  advance(5s);
  BOOST_TEST((take_asked() == names{"PATCH " + a1}));
  BOOST_TEST(!server.objects.contains(a_key));
}

BOOST_AUTO_TEST_CASE(what_others_delete_of_others_is_not_ours_to_let_go_of) {
  server.put(a_key, {{"labels", {{std::string{kube::package_rev_repository_label}, "stranger"}}}, {"finalizers", {kube::package_rev_finalizer}}});
  advance(1s);
  server.remove(a_key);
  advance(1min);
  BOOST_TEST(take_asked().empty());
}

BOOST_AUTO_TEST_CASE(one_who_stands_by_asks_nothing) {
  kill_keeper();
  may_begin = false;
  const auto before = server.lists + server.watches;
  start_keeper();
  add({rev("a")});
  advance(1min);
  BOOST_TEST(server.lists + server.watches == before);
  may_begin = true;
  expect({a1});
}

BOOST_AUTO_TEST_CASE(a_name_that_is_too_long_for_a_label_gets_one_of_its_own) {
  const std::string name(200, 'r');
  BOOST_TEST(kube::package_rev_label(std::string(63, 'r')) == std::string(63, 'r'));
  const auto label = kube::package_rev_label(name);
  BOOST_TEST(label.size() == 63U);
  BOOST_TEST(label != kube::package_rev_label(std::string(201, 'r')));
  const auto other = claim_repository(name, "uid-long");
  BOOST_REQUIRE(sync(other, delta({rev("a", 1, name), rev("b", 1, name)})).ok());
  advance(5s);
  BOOST_TEST(server.objects.size() == 2U);
  for (const auto& [key, o] : server.objects) BOOST_TEST(o["metadata"]["labels"][std::string{kube::package_rev_repository_label}] == label);
  close(other);
  const auto expelled = ask<bool>(keeper, msg::expel_package_revs{{"default", name}});
  advance(5s);
  BOOST_REQUIRE(expelled->has_value());
  BOOST_TEST(***expelled);
  BOOST_TEST(server.objects.empty());
}

BOOST_AUTO_TEST_CASE(a_feed_that_does_not_reach_back_is_no_harm) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  kill_keeper();
  feed_kept = 1;
  crash(); // the writer with a short feed
  server.serve = 0;
  for (std::uint64_t content = 2; content < 8; ++content)
    synced(delta({rev("c", content)}, {rev("a", content)}, {b1}));
  server.serve = ~0U;
  expect({a1, "repo.apps.c.v1"});
}

BOOST_AUTO_TEST_CASE(a_watch_that_is_too_old_is_no_harm) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  kill_keeper();
  server.remove(a_key);
  server.edit(b_key, {{"metadata", {{"labels", nullptr}}}});
  server.forget();
  start_keeper();
  server.cut = true;
  advance(1s);
  server.cut = false;
  expect({a1, b1});
}

BOOST_AUTO_TEST_CASE(a_repository_that_may_not_be_written_holds_up_no_other_and_is_said) {
  const auto other = claim_repository("other", "uid-other");
  server.before = [](const kube::api_request& r) -> std::optional<result<kube::api_answer>> {
    return r.body.find("\"repo.apps") != std::string::npos ? std::optional<result<kube::api_answer>>{mirror::refusal(403, "Forbidden")} : std::nullopt;
  };
  std::vector<package_revision> all;
  for (int i = 0; i < 50; ++i)
    all.push_back(rev("p" + std::to_string(i)));
  add(all);
  BOOST_REQUIRE(sync(other, delta({rev("a", 1, "other")})).ok());
  advance(1min);
  BOOST_TEST(objects().size() == 1U);
  BOOST_TEST(objects().contains("other.apps.a.v1"));
  BOOST_TEST(detail("pending") == "50");
  BOOST_TEST(detail("failing") != "0");
  BOOST_TEST(problems.back().find("some of them cannot be written: ") != std::string::npos, problems.back());
  BOOST_TEST(problems.back().find("; grant create on packagerevs.config.porch.kpt.dev in namespace ") != std::string::npos, problems.back());
  server.before = nullptr;
  advance(6min);
  in_step();
  BOOST_TEST(problems.back() == "");
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_lost_is_made_good) {
  unsigned lost = 0;
  server.after = [&](const kube::api_request& r) -> std::optional<result<kube::api_answer>> {
    if (!about_one(r) || ++lost % 3 != 0)
      return std::nullopt;
    return result<kube::api_answer>{failure{ec::timed_out, "no answer", {}, {}, {}}};
  };
  add({rev("a"), rev("b"), rev("c")});
  expect({a1, b1, "repo.apps.c.v1"});
  synced(delta({}, {rev("a", 2)}, {b1, "repo.apps.c.v1"}));
  expect({a1});
}

BOOST_AUTO_TEST_CASE(an_api_server_that_is_away_is_said_once_and_comes_back) {
  add({rev("a")});
  expect({a1});
  BOOST_TEST(problems == names{""}, boost::test_tools::per_element());
  server.before = [](const kube::api_request&) { return std::optional{result<kube::api_answer>{failure{ec::unreachable, "no connection", {}, {}, {}}}}; };
  synced(delta({rev("b")}, {}, {a1}));
  server.cut = true;
  advance(5min);
  BOOST_TEST(objects().size() == 1U);
  server.cut = false;
  server.before = nullptr;
  expect({b1});
}

BOOST_AUTO_TEST_CASE(a_definition_that_is_missing_is_said_and_waited_for) {
  kill_keeper();
  problems.clear();
  server.before = [](const kube::api_request&) { return std::optional{result<kube::api_answer>{mirror::refusal(404, "NotFound")}}; };
  start_keeper();
  add({rev("a")});
  advance(1min);
  BOOST_REQUIRE(problems.size() == 1U);
  BOOST_TEST(problems[0].find("install its CRD") != std::string::npos, problems[0]);
  const auto waited = ask<bool>(keeper, msg::await_package_revs{});
  advance(1s);
  BOOST_REQUIRE(waited->has_value());
  BOOST_TEST(!***waited);
  server.before = nullptr;
  expect({a1});
  advance(1min); // it is said when the watch has been seen to work
  BOOST_TEST(problems.back() == "");
}

BOOST_AUTO_TEST_CASE(what_is_restored_after_its_repository_went_without_a_definition_stays) {
  kill_keeper();
  server.before = [](const kube::api_request&) { return std::optional{result<kube::api_answer>{mirror::refusal(404, "NotFound")}}; };
  start_keeper();
  advance(1min);
  const auto told = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(1s);
  BOOST_REQUIRE(told->has_value());
  BOOST_TEST(***told);
  server.put(a_key, {{"name", a1}, {"namespace", "default"}, {"labels", {{std::string{kube::package_rev_repository_label}, "repo"}}}, {"finalizers", {kube::package_rev_finalizer}}});
  server.before = nullptr;
  take_asked();
  advance(5min);
  BOOST_TEST(detail("strays") == "1");
  BOOST_TEST(take_asked().empty());
}

BOOST_AUTO_TEST_CASE(whoever_waits_for_it_hears_when_all_is_in_step) {
  add({rev("a"), rev("b")});
  server.serve = 1;
  advance(1s);
  const auto waited = ask<bool>(keeper, msg::await_package_revs{});
  advance(1s);
  BOOST_TEST(!waited->has_value());
  server.serve = ~0U;
  advance(2s);
  BOOST_REQUIRE(waited->has_value());
  BOOST_TEST(***waited);
}

BOOST_AUTO_TEST_CASE(a_repository_is_expelled_before_its_object_may_go) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  server.serve = 1;
  close(claim);
  const auto first = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(5s);
  BOOST_TEST(!first->has_value());
  const auto second = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(1s);
  BOOST_REQUIRE(first->has_value());
  BOOST_TEST(!***first); // somebody asked again
  server.serve = ~0U;
  advance(2s);
  BOOST_REQUIRE(second->has_value());
  BOOST_TEST(***second);
  BOOST_TEST(server.objects.empty());
  const auto unknown = ask<bool>(keeper, msg::expel_package_revs{{"default", "never-heard-of"}});
  advance(1s);
  BOOST_TEST(unknown->has_value());
}

BOOST_AUTO_TEST_CASE(what_keeps_the_objects_of_a_repository_is_named) {
  add({rev("a"), rev("b")});
  expect({a1, b1});
  server.edit(a_key, {{"metadata", {{"finalizers", {"example.org/hold", kube::package_rev_finalizer}}}}});
  close(claim);
  const auto told = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(9s);
  BOOST_TEST(!told->has_value());
  advance(2s);
  BOOST_REQUIRE(told->has_value());
  BOOST_REQUIRE(!(**told).ok());
  BOOST_CHECK(((**told).error().code == ec::dependency_missing));
  BOOST_TEST((**told).error().what == "1 of its PackageRev objects wait for finalizers of others, the first of them repo.apps.a.v1 for example.org/hold: whoever set them must take them off");
  server.edit(a_key, {{"metadata", {{"finalizers", nullptr}}}});
  const auto gone = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(1s);
  BOOST_REQUIRE(gone->has_value());
  BOOST_TEST(***gone);
}

BOOST_AUTO_TEST_CASE(objects_that_may_not_be_listed_are_said_to_hold_up_a_repository) {
  kill_keeper();
  server.before = [](const kube::api_request&) { return std::optional{result<kube::api_answer>{mirror::refusal(403, "Forbidden")}}; };
  start_keeper();
  const auto told = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(11s);
  BOOST_REQUIRE(told->has_value());
  BOOST_REQUIRE(!(**told).ok());
  BOOST_TEST((**told).error().what.find("grant list and watch on packagerevs.config.porch.kpt.dev") != std::string::npos, (**told).error().what);
  server.before = nullptr;
  const auto gone = ask<bool>(keeper, msg::expel_package_revs{{"default", "repo"}});
  advance(1min);
  BOOST_REQUIRE(gone->has_value());
  BOOST_TEST(***gone);
}

BOOST_AUTO_TEST_CASE(with_porchs_owner_the_owner_is_the_package_revision) {
  add({rev("a")});
  expect({a1});
  kill_keeper();
  owner = kube::package_rev_owner::package_revision;
  start_keeper();
  advance(2s);
  BOOST_TEST(metadata(a_key)["ownerReferences"].dump() ==
             R"([{"apiVersion":"porch.kpt.dev/v1alpha1","kind":"PackageRevision","name":"repo.apps.a.v1","uid":")" + rev("a").uid + R"("}])");
  kill_keeper();
  owner = kube::package_rev_owner::repository;
  start_keeper();
  expect({a1});
  BOOST_TEST(metadata(a_key)["ownerReferences"].size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_restart_at_any_instant_is_made_good) {
  for (unsigned requests = 0; requests < 12; ++requests)
    BOOST_TEST_CONTEXT("after " << requests << " requests") {
      server.serve = requests;
      synced(delta({rev("a", 1 + requests % 5), rev("b", 2), rev("c", 3)}, {}, {"repo.apps.d.v1"}));
      advance(1s);
      kill_keeper();
      server.serve = requests / 2;
      start_keeper();
      advance(1s);
      synced(delta({rev("d", 4)}, {rev("a", 9)}, {b1}));
      kill_keeper();
      server.serve = ~0U;
      start_keeper();
      expect({a1, "repo.apps.c.v1", "repo.apps.d.v1"});
    }
}

BOOST_AUTO_TEST_SUITE_END()
