// links: veranda_actors_kube
#define BOOST_TEST_MODULE lease_keeper
#include "actors/kube/lease_keeper.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/api_clients.hpp"

#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::test;
using nlohmann::json;
using logic::elector_role;

namespace {

/// Replicas before an API server with one Lease.
struct replicas : actor_fixture {
  struct replica {
    std::shared_ptr<fake_api_client> client = std::make_shared<fake_api_client>();
    std::shared_ptr<write_permit> permit = std::make_shared<write_permit>();
    lease_keeper_actor keeper;
    election_view view;
    int led = 0;
    std::vector<std::string> lost;
  };

  std::shared_ptr<replica> begin(const std::string& name) {
    auto r = std::make_shared<replica>();
    r->client->answers = [this](const kube::api_request& q) { return serve(q); };
    lease_keeper_deps deps;
    deps.env = env;
    deps.client = r->client;
    deps.lease = {"house", "veranda"};
    deps.policy.identity = name;
    deps.permit = r->permit;
    deps.leads = [this, r = r.get()] {
      ++r->led;
      BOOST_TEST(may_write(*r)); // what begins then may write at once
    };
    deps.lost = [this, r = r.get()](const failure& why) {
      r->lost.push_back(why.what);
      BOOST_TEST(!may_write(*r));
    };
    deps.changed = [r = r.get()](const election_view& v) { r->view = v; };
    deps.now = [this] { return steady_now(); };
    r->keeper = spawn(lease_keeper, std::move(deps));
    all.push_back(r);
    settle();
    return r;
  }
  void at_end() override { all.clear(); }

  result<kube::api_answer> serve(const kube::api_request& r) {
    if (fail)
      if (auto f = fail(r))
        return *std::move(f);
    const bool there = lease.is_object();
    if (r.method == kube::api_method::get)
      return there ? fake_api_client::answer(200, lease.dump()) : fake_api_client::refusal(404, "NotFound", "veranda");
    auto written = json::parse(r.body);
    if (r.method == kube::api_method::post) {
      if (there)
        return fake_api_client::refusal(409, "AlreadyExists", "veranda");
      written["metadata"]["uid"] = "u1";
    } else if (!there) {
      return fake_api_client::refusal(404, "NotFound", "veranda");
    } else if (written["metadata"]["resourceVersion"] != lease["metadata"]["resourceVersion"]) {
      return fake_api_client::refusal(409, "Conflict", "veranda");
    }
    written["metadata"]["resourceVersion"] = std::to_string(++version);
    lease = std::move(written);
    return fake_api_client::answer(200, lease.dump());
  }

  bool may_write(const replica& r) { return r.permit->valid_at(steady_now()); }
  std::string holder() { return lease.is_object() ? lease["spec"]["holderIdentity"].get<std::string>() : "nobody"; }
  void tell_to_end(replica& r) {
    caf::anon_send_exit(r.keeper, caf::exit_reason::user_shutdown);
    settle();
  }
  /// As kill -9 does.
  void kill(replica& r) {
    caf::anon_send_exit(r.keeper, caf::exit_reason::kill);
    settle();
  }
  std::string detail(const std::string& name) {
    for (const auto& c : env.cells->snapshot())
      for (const auto& [key, value] : c.details)
        if (c.kind == "lease-keeper" && key == name)
          return value;
    return "";
  }
  std::chrono::nanoseconds until(const std::function<bool()>& condition, std::chrono::nanoseconds limit = 60s) {
    const auto since = elapsed();
    advance_until(condition, limit, 100ms);
    return elapsed() - since;
  }

  std::vector<std::shared_ptr<replica>> all;
  json lease;
  int version = 0;
  std::function<std::optional<result<kube::api_answer>>(const kube::api_request&)> fail;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(keeper, replicas)

BOOST_AUTO_TEST_CASE(one_leads_and_the_other_stands_by) {
  const auto a = begin("a");
  BOOST_TEST(a->led == 1);
  BOOST_TEST(may_write(*a));
  const auto b = begin("b");
  BOOST_TEST((b->view == election_view{elector_role::standby, true, "a", {}}));
  advance(5min);
  BOOST_TEST(a->led == 1);
  BOOST_TEST(b->led == 0);
  BOOST_TEST(may_write(*a));
  BOOST_TEST(!may_write(*b));
  for (const auto& r : b->client->requests)
    BOOST_TEST(!r.changes_something());
  BOOST_TEST(detail("transitions") == "0");
  BOOST_TEST(detail("holder") == "a");
}

BOOST_AUTO_TEST_CASE(renews_every_two_seconds) {
  const auto a = begin("a");
  (void)a->client->take_asked();
  advance(20s);
  BOOST_TEST(a->client->asked.size() == 10U);
  for (const auto& one : a->client->asked)
    BOOST_TEST(one.starts_with("PUT "));
  BOOST_TEST(detail("renewed") == lease["spec"]["renewTime"].get<std::string>());
}

BOOST_AUTO_TEST_CASE(the_other_takes_over_when_the_leader_dies) {
  const auto a = begin("a"), b = begin("b");
  advance(1min);
  kill(*a);
  const auto took = until([&] { return b->led == 1; });
  BOOST_TEST((took > 8s && took < 20s));
  BOOST_TEST(holder() == "b");
  BOOST_TEST(lease["spec"]["leaseTransitions"] == 1);
}

BOOST_AUTO_TEST_CASE(the_other_takes_over_at_once_when_the_leader_ends) {
  const auto a = begin("a"), b = begin("b");
  advance(1min);
  tell_to_end(*a);
  BOOST_TEST(!alive(a->keeper));
  BOOST_TEST(holder() == "");
  BOOST_TEST(lease["spec"]["leaseDurationSeconds"] == 1);
  BOOST_TEST(!may_write(*a));
  BOOST_TEST(a->lost.empty());
  BOOST_TEST((until([&] { return b->led == 1; }) < 5s));
}

BOOST_AUTO_TEST_CASE(renews_until_it_is_told_to_end_and_then_gives_up_in_time) {
  const auto a = begin("a");
  fail = [](const kube::api_request&) { return failure{ec::unreachable, "no connection", {}, {}, {}}; };
  tell_to_end(*a);
  advance(5s);
  BOOST_TEST(!alive(a->keeper));
  BOOST_TEST(a->lost.empty());
}

BOOST_AUTO_TEST_CASE(a_standby_ends_without_a_word) {
  const auto a = begin("a"), b = begin("b");
  advance(10s);
  const auto before = lease;
  tell_to_end(*b);
  BOOST_TEST(!alive(b->keeper));
  BOOST_TEST(lease == before);
}

BOOST_AUTO_TEST_CASE(a_leader_whose_requests_fail_is_lost_at_the_deadline) {
  const auto a = begin("a"), b = begin("b");
  advance(1min);
  a->client->answers = [](const kube::api_request&) { return failure{ec::unreachable, "no connection", {}, {}, {}}; };
  until([&] { return !a->lost.empty(); }, 12s);
  BOOST_TEST(a->lost.front() == "it could not be renewed for 10s: no connection");
  BOOST_TEST(!alive(a->keeper));
  BOOST_TEST(b->led == 0);
  until([&] { return b->led == 1; }, 12s);
}

BOOST_AUTO_TEST_CASE(a_leader_whose_requests_hang_is_lost_at_the_deadline) {
  const auto a = begin("a");
  advance(1min);
  a->client->hold = true;
  until([&] { return !may_write(*a); }, 11s);
  advance(200ms); // it looks every 100 ms; the permit needs nobody to look
  BOOST_TEST(a->lost.size() == 1U);
  BOOST_TEST(!alive(a->keeper));
}

BOOST_AUTO_TEST_CASE(a_leader_ends_when_another_has_taken_the_lease) {
  const auto a = begin("a");
  lease["spec"]["holderIdentity"] = "somebody";
  lease["metadata"]["resourceVersion"] = std::to_string(++version);
  until([&] { return !a->lost.empty(); }, 3s);
  BOOST_TEST(a->lost.front() == "it was taken by somebody");
  BOOST_TEST(holder() == "somebody");
}

BOOST_AUTO_TEST_CASE(a_right_that_is_missing_is_said_and_heals) {
  fail = [](const kube::api_request&) { return fake_api_client::refusal(403, "Forbidden", "veranda"); };
  const auto a = begin("a");
  advance(1min);
  BOOST_TEST(a->led == 0);
  BOOST_REQUIRE(a->view.problem.has_value());
  BOOST_TEST(!a->view.looked);
  const auto text = explain_lease_problem(*a->view.problem, {"house", "veranda"});
  BOOST_TEST(text.find("grant get, create and update on leases.coordination.k8s.io in namespace house") != std::string::npos);
  fail = nullptr;
  until([&] { return a->led == 1; }, 5s);
  BOOST_TEST(!a->view.problem);
}

BOOST_AUTO_TEST_CASE(an_answer_that_comes_after_it_was_given_up_counts_no_more) {
  const auto a = begin("a");
  advance(1500ms);
  a->client->hold = true;
  advance(1s); // a renewal is under way
  a->client->hold = false;
  const auto before = a->client->asked.size();
  tell_to_end(*a);
  settle();
  advance(1s);
  BOOST_TEST(!alive(a->keeper));
  BOOST_TEST(holder() == "");
  BOOST_TEST(a->client->asked.size() > before);
}

BOOST_AUTO_TEST_CASE(many_replicas_have_one_leader_at_a_time) {
  for (int i = 0; i < 5; ++i)
    begin("r" + std::to_string(i));
  for (int round = 0; round < 4; ++round) {
    until([&] { return std::ranges::count_if(all, [&](const auto& r) { return may_write(*r); }) == 1; });
    advance(1min);
    const auto leader = std::ranges::find_if(all, [&](const auto& r) { return may_write(*r); });
    BOOST_REQUIRE((leader != all.end()));
    BOOST_TEST(std::ranges::count_if(all, [&](const auto& r) { return may_write(*r); }) == 1);
    if (round % 2 == 0)
      tell_to_end(**leader);
    else
      kill(**leader);
    (*leader)->permit->revoke(); // of a process that is gone
  }
  BOOST_TEST(lease["spec"]["leaseTransitions"].get<int>() >= 3);
}

BOOST_AUTO_TEST_SUITE_END()
