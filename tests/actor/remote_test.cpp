// links: veranda_house
#define BOOST_TEST_MODULE remote
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

constexpr const char* mirror_path = "/mirrors/one";

/// One remote without its supervisor; the test speaks for the repositories.
struct one_remote : house {
  one_remote() {
    git.publish(url, "main", "app", 1);
    git.publish(url, "next", "app", 2);
    open();
    auto deps = remote_settings();
    deps.identity = {url, {}, {}};
    deps.mirror = mirror_path;
    subject = spawn(remote, std::move(deps));
  }
  void join(const std::string& uid, const std::string& branch = "main") { tell(subject, msg::join_remote{uid, branch}); }
  void leave(const std::string& uid) { tell(subject, msg::leave_remote{uid}); }
  answer<msg::listing_ptr> want(const std::string& uid, std::chrono::seconds young_enough = 0s, const std::string& known = {}) {
    auto out = ask<msg::listing_ptr>(subject, msg::get_listing{uid, known, steady_now() - young_enough});
    settle();
    return out;
  }
  answer<msg::sync_result_ptr> sync(const std::string& name, const std::string& branch = "main", cancel_token_ptr cancel = std::make_shared<cancel_token>()) {
    auto object = std::make_shared<repository_object>(an_object(name));
    object->spec.git->branch = branch;
    msg::run_sync order;
    order.sync_id = name;
    order.key = key(name);
    order.uid = object->meta.uid;
    order.spec = {object, &object->spec};
    order.target = git.remotes[url].objects.table();
    order.cancel = std::move(cancel);
    auto out = ask<msg::sync_result_ptr>(subject, std::move(order));
    settle();
    return out;
  }
  void at_end() override {
    subject = nullptr;
    house::at_end();
  }
  remote_actor subject;
};

bool good(const answer<msg::listing_ptr>& a) { return a->has_value() && (*a)->ok(); }
const ref_table* table(const answer<msg::listing_ptr>& a) { return (**a)->get()->refs.get(); }

} // namespace

BOOST_FIXTURE_TEST_SUITE(listing, one_remote)

BOOST_AUTO_TEST_CASE(one_serves_everybody_who_waits) {
  for (const auto* uid : {"a", "b", "c"})
    join(uid);
  http->hold = true;
  const std::vector answers{want("a", 5s), want("b", 5s), want("c", 5s)};
  http->release();
  settle();
  for (const auto& a : answers)
    BOOST_TEST(good(a));
  BOOST_TEST(listings() == 1U);
}

BOOST_AUTO_TEST_CASE(a_young_one_serves_and_an_old_one_does_not) {
  join("a");
  const auto first = want("a"); // somebody has the table yet
  advance(4s);
  BOOST_TEST(good(want("a", 5s)));
  BOOST_TEST(listings() == 1U);
  advance(2s);
  BOOST_TEST(good(want("a", 5s)));
  BOOST_TEST(listings() == 2U);
}

BOOST_AUTO_TEST_CASE(one_that_began_before_a_fresh_request_does_not_serve_it) {
  join("a");
  join("b");
  http->hold = true;
  const auto early = want("a");
  advance(1s);
  const auto late = want("b");
  const auto later = want("a");
  BOOST_TEST(http->held.size() == 1U); // one at a time
  auto first = std::exchange(http->held, {});
  http->answer(first.front());
  settle();
  BOOST_TEST(good(early));
  BOOST_TEST(!late->has_value());
  http->release();
  settle();
  BOOST_TEST(good(late));
  BOOST_TEST(good(later));
  BOOST_TEST(listings() == 2U);
}

BOOST_AUTO_TEST_CASE(asks_for_the_branches_of_those_who_are_there) {
  join("a", "main");
  join("b", "next");
  want("a");
  const auto& asked = git.remotes[url].asked.back();
  BOOST_TEST((std::count(asked.begin(), asked.end(), "refs/heads/main") == 1));
  BOOST_TEST((std::count(asked.begin(), asked.end(), "refs/heads/next") == 1));
}

BOOST_AUTO_TEST_CASE(never_calls_a_branch_missing_that_it_did_not_ask_for) {
  join("a", "main");
  http->hold = true;
  want("a", 5s);
  join("b", "next"); // while a listing without its branch is under way
  const auto b = want("b", 5s);
  http->release();
  settle();
  BOOST_REQUIRE(good(b));
  BOOST_REQUIRE(table(b) != nullptr);
  BOOST_TEST(table(b)->find("refs/heads/next") != nullptr);
  join("c", "third"); // after it, while it is still young
  git.publish(url, "third", "app", 3);
  const auto c = want("c", 5s);
  BOOST_REQUIRE(good(c));
  BOOST_TEST(table(c)->find("refs/heads/third") != nullptr);
}

BOOST_AUTO_TEST_CASE(leaves_the_table_out_only_for_those_who_know_it) {
  join("a");
  join("b");
  const auto digest = (**want("a"))->get()->digest;
  advance(1min);
  const auto alone = want("a", 0s, digest);
  BOOST_TEST(table(alone) == nullptr);
  advance(1min);
  http->hold = true;
  const auto knows = want("a", 5s, digest);
  const auto does_not = want("b", 5s); // joins a listing whose table is left out
  http->release();
  settle();
  BOOST_TEST(good(knows));
  BOOST_REQUIRE(good(does_not));
  BOOST_TEST(table(does_not) != nullptr);
}

BOOST_AUTO_TEST_CASE(a_failure_is_answered_to_all_and_the_next_one_is_tried_anew) {
  join("a");
  join("b");
  http->hold = true;
  const auto a = want("a", 5s);
  const auto b = want("b", 5s);
  git.remotes[url].listing_fails = failure{ec::throttled, "429", {}, {}, 7s};
  http->release();
  settle();
  for (const auto& one : {a, b}) {
    BOOST_REQUIRE(one->has_value());
    BOOST_TEST(to_string((*one)->error().code) == "throttled");
    BOOST_TEST(((*one)->error().retry_after == std::optional<std::chrono::milliseconds>{7s})); // travels whole
  }
  git.remotes[url].listing_fails.reset();
  BOOST_TEST(good(want("a", 5s)));
}

BOOST_AUTO_TEST_CASE(one_that_is_never_answered_is_given_up_in_the_end) {
  join("a");
  http->hold = true;
  const auto a = want("a");
  advance(59min); // it may wait its turn behind many others
  BOOST_TEST(!a->has_value());
  advance(1min);
  BOOST_REQUIRE(a->has_value());
  BOOST_TEST(to_string((*a)->error().code) == "overloaded");
  BOOST_TEST(http->held.front().wanted.cancel->stop.load());
  http->held.clear();
  http->hold = false;
  BOOST_TEST(good(want("a")));
}

BOOST_AUTO_TEST_CASE(is_refused_to_those_who_have_left) {
  join("a");
  join("b");
  leave("b");
  const auto b = want("b");
  BOOST_REQUIRE(b->has_value());
  BOOST_TEST(to_string((*b)->error().code) == "cancelled");
}

BOOST_AUTO_TEST_CASE(of_a_local_path_goes_through_a_child_process_worker) {
  git.publish("/srv/git/packages", "main", "app", 1);
  auto deps = remote_settings();
  deps.identity = {"/srv/git/packages", {}, {}};
  deps.mirror = "/mirrors/two";
  deps.over_http = false;
  subject = spawn(remote, std::move(deps));
  join("a");
  BOOST_TEST(good(want("a")));
  BOOST_TEST(workers->count("list /srv/git/packages") == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(mirror, one_remote)

BOOST_AUTO_TEST_CASE(one_job_at_a_time_in_the_order_of_arrival) {
  join("uid-a");
  join("uid-b", "next");
  workers->hold = true;
  const auto a = sync("a");
  const auto b = sync("b", "next");
  BOOST_TEST(workers->held.size() == 1U);
  workers->release_one();
  settle();
  BOOST_TEST(a->has_value());
  BOOST_TEST(!b->has_value());
  BOOST_TEST(workers->held.size() == 1U);
  workers->release();
  settle();
  BOOST_REQUIRE(b->has_value());
  BOOST_TEST((*b)->ok());
  BOOST_TEST(workers->broken_rules.empty());
}

BOOST_AUTO_TEST_CASE(one_fetch_brings_what_all_of_them_need) {
  join("uid-a");
  join("uid-b", "next");
  sync("a");
  const auto b = sync("b", "next");
  BOOST_TEST((***b)->delta.added.size() == 3U); // the package on its branch, v1 and v2
  BOOST_TEST(git.remotes[url].fetches == 1U);
}

BOOST_AUTO_TEST_CASE(a_failed_job_lets_the_next_one_run) {
  join("uid-a");
  git.remotes[url].fetch_fails = failure{ec::unreachable, "reset", {}, {}, {}};
  const auto failed = sync("a");
  BOOST_REQUIRE(failed->has_value());
  BOOST_TEST(to_string((*failed)->error().code) == "unreachable");
  git.remotes[url].fetch_fails.reset();
  const auto next = sync("a");
  BOOST_TEST((*next)->ok());
}

BOOST_AUTO_TEST_CASE(goes_with_the_last_repository_and_the_actor_with_it) {
  join("uid-a");
  join("uid-b");
  sync("a");
  leave("uid-a");
  BOOST_TEST(git.mirrors.contains(mirror_path));
  BOOST_TEST(alive(subject));
  leave("uid-b");
  BOOST_TEST(!git.mirrors.contains(mirror_path));
  BOOST_TEST(!alive(subject));
}

BOOST_AUTO_TEST_CASE(the_secret_keeper_is_told_of_the_end) {
  auto heard = std::make_shared<std::vector<std::string>>();
  secret_keeper = spawn([heard](secret_keeper_actor::pointer) -> secret_keeper_actor::behavior_type {
    return {
      [heard](const msg::fetch_secrets& m) {
        heard->push_back("fetch " + to_string(m.remote));
        return true;
      },
      [heard](const msg::secrets_tried& m) { heard->push_back("tried " + to_string(m.remote)); },
      [heard](const msg::secrets_unused& m) { heard->push_back("unused " + to_string(m.remote)); },
      [](const follow_secrets&) {},
    };
  });
  const std::vector<remote_identity> all{{url, "team", "key"}, {url, "team", {}}, {url, {}, {}}};
  for (const auto& identity : all) {
    auto deps = remote_settings();
    deps.identity = identity;
    deps.mirror = mirror_path;
    subject = spawn(remote, std::move(deps));
    join("a");
    want("a");
    leave("a");
    BOOST_TEST(!alive(subject));
  }
  const std::string secret = to_string(all[0]), bundle = to_string(all[1]);
  BOOST_TEST((*heard == std::vector<std::string>{"fetch " + secret, "unused " + secret, "fetch " + bundle, "unused " + bundle}));
}

BOOST_AUTO_TEST_CASE(is_removed_after_the_job_that_uses_it) {
  join("uid-a");
  workers->hold = true;
  const auto a = sync("a");
  leave("uid-a");
  BOOST_TEST(workers->held.size() == 1U); // still the sync
  workers->release_one();
  settle();
  BOOST_TEST(a->has_value());
  BOOST_REQUIRE(workers->held.size() == 1U);
  BOOST_TEST((workers->held.front().job.kind == msg::job_kind::remove_mirror));
  workers->release();
  settle();
  BOOST_TEST(!alive(subject));
}

BOOST_AUTO_TEST_CASE(who_joins_while_it_is_removed_gets_a_new_one) {
  join("uid-a");
  sync("a");
  workers->hold = true;
  leave("uid-a");
  join("uid-b");
  const auto b = sync("b");
  BOOST_TEST(workers->held.size() == 1U); // the removal
  workers->release();
  settle();
  BOOST_TEST(alive(subject));
  BOOST_REQUIRE(b->has_value());
  BOOST_TEST((*b)->ok());
  BOOST_TEST(git.mirrors.contains(mirror_path));
  BOOST_TEST(git.remotes[url].fetches == 2U);
}

BOOST_AUTO_TEST_CASE(that_cannot_be_removed_does_not_keep_the_actor) {
  join("uid-a");
  workers->instead = [](const msg::job&) { return result<msg::job_result>{failure{ec::unavailable, "busy", {}, {}, {}}}; };
  leave("uid-a");
  BOOST_TEST(!alive(subject)); // it is swept at the next start
}

BOOST_AUTO_TEST_CASE(with_a_missing_object_is_fetched_anew_once) {
  join("uid-a");
  sync("a");
  auto& data = git.mirrors.at(mirror_path);
  data.objects = {};
  data.index.clear();
  const auto a = sync("a");
  BOOST_REQUIRE(a->has_value());
  BOOST_TEST((*a)->ok());
  BOOST_TEST(git.remotes[url].fetches == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
