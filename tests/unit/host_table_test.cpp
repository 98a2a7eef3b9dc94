// links: veranda_logic
#define BOOST_TEST_MODULE host_table
#include "actors/logic/host_table.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;
using kind = host_answer::kind;

namespace {

constexpr const char* host = "https://git.example";

failure fails(ec code, std::string field = {}, std::optional<std::chrono::milliseconds> retry_after = {}) { return {code, "it failed", {}, std::move(field), retry_after}; }

/// One host whose remotes are tried one after another.
struct one_host {
  host_table table{{}, 7};
  steady_instant now{1h};

  host_visitor who(const std::string& remote, bool user = false, const std::string& budget = {}) const { return {host, remote, budget, user, false}; }
  host_answer enter(const std::string& remote, bool user = false) { return table.enter(who(remote, user), now); }
  host_change well(const std::string& remote, std::uint64_t probe = 0) { return table.ended(who(remote), probe, nullptr, {}, now); }
  host_change ill(const std::string& remote, std::uint64_t probe = 0, ec code = ec::unreachable) {
    const auto why = fails(code);
    return table.ended(who(remote), probe, &why, {}, now);
  }
  /// Fails until the host is taken to be down.
  void open() {
    for (int i = 0; i < 5; ++i) ill("r" + std::to_string(i));
    BOOST_REQUIRE((table.view(host, now).condition == host_condition::down));
  }
};

} // namespace

BOOST_AUTO_TEST_CASE(what_a_failure_says_of_the_host) {
  struct row {
    failure why;
    host_verdict expected;
  };
  const row rows[] = {
      {fails(ec::unreachable), host_verdict::blamed},
      {fails(ec::unreachable, "spec.git.repo"), host_verdict::blamed},
      {fails(ec::timed_out), host_verdict::blamed},
      {fails(ec::unavailable), host_verdict::blamed},
      {fails(ec::unreachable, "spec.git.secretRef"), host_verdict::nothing}, // a CA or a proxy of one's own
      {fails(ec::timed_out, "spec.git.secretRef"), host_verdict::nothing},
      {fails(ec::unavailable, "spec.git.secretRef"), host_verdict::nothing},
      {fails(ec::unavailable, {}, 5s), host_verdict::answered}, // it says when to come back
      {fails(ec::throttled), host_verdict::answered},
      {fails(ec::auth_rejected), host_verdict::answered},
      {fails(ec::not_found), host_verdict::answered},
      {fails(ec::too_large), host_verdict::answered},
      {fails(ec::unsupported), host_verdict::answered},
      {fails(ec::overloaded), host_verdict::nothing},
      {fails(ec::dependency_missing), host_verdict::nothing},
      {fails(ec::host_unavailable), host_verdict::nothing},
      {fails(ec::invalid_spec), host_verdict::nothing},
      {fails(ec::conflict), host_verdict::nothing},
      {fails(ec::stale), host_verdict::nothing},
      {fails(ec::checksum_mismatch), host_verdict::nothing},
      {fails(ec::corrupt_cache), host_verdict::nothing},
      {fails(ec::cancelled), host_verdict::nothing},
      {fails(ec::shutting_down), host_verdict::nothing},
      {fails(ec::internal), host_verdict::nothing},
  };
  for (const auto& r : rows) BOOST_TEST((verdict_of(&r.why) == r.expected), to_string(r.why.code) << " " << r.why.field);
  BOOST_TEST((verdict_of(nullptr) == host_verdict::good));
}

BOOST_FIXTURE_TEST_CASE(opens_after_five_failures_in_a_row, one_host) {
  for (int i = 0; i < 4; ++i) BOOST_TEST((ill("r" + std::to_string(i)) == host_change::nothing));
  well("r9");
  for (int i = 0; i < 2; ++i) ill("r9"); // it was well: news once, then only where nobody is
  for (int i = 0; i < 3; ++i) BOOST_TEST((enter("a").what == kind::pass));
  for (int i = 0; i < 2; ++i) BOOST_TEST((ill("r1") == host_change::nothing));
  const auto since = table.view(host, now);
  BOOST_TEST((since.condition == host_condition::up));
  now += 10s;
  BOOST_TEST((ill("r2") == host_change::opened));
  const auto seen = table.view(host, now);
  BOOST_TEST((seen.condition == host_condition::down));
  BOOST_TEST((seen.since == now - 10s));
  BOOST_TEST(seen.cause == "it failed");
  BOOST_TEST((enter("a").what == kind::unavailable));
  BOOST_TEST((seen.next_probe >= now + 5s));
  BOOST_TEST((seen.next_probe <= now + 10s));
  BOOST_TEST((enter("a").wait <= 10s));
}

BOOST_FIXTURE_TEST_CASE(one_bad_remote_closes_no_host_to_others, one_host) {
  well("good");
  for (int i = 0; i < 100; ++i) ill("bad", 0, ec::unavailable);
  for (int i = 0; i < 100; ++i) ill("worse", 0, ec::timed_out);
  BOOST_TEST((enter("good").what == kind::pass));
  now += 1h + 1s; // nobody is known to be well any more
  for (int i = 0; i < 5; ++i) ill("bad");
  BOOST_TEST((enter("good").what == kind::unavailable));
}

BOOST_FIXTURE_TEST_CASE(every_remote_that_was_well_counts_once, one_host) {
  for (int i = 0; i < 100; ++i) well("r" + std::to_string(i));
  for (int i = 0; i < 4; ++i) BOOST_TEST((ill("r" + std::to_string(i)) == host_change::nothing));
  BOOST_TEST((ill("r4") == host_change::opened));
}

BOOST_FIXTURE_TEST_CASE(answers_that_are_no_success_keep_it_open_to_all, one_host) {
  for (int i = 0; i < 50; ++i) {
    for (int k = 0; k < 4; ++k) ill("r" + std::to_string(k));
    ill("r9", 0, ec::not_found);
  }
  BOOST_TEST((enter("a").what == kind::pass));
}

BOOST_FIXTURE_TEST_CASE(one_try_decides_for_all, one_host) {
  open();
  now = table.view(host, now).next_probe;
  const auto probe = enter("a");
  BOOST_REQUIRE((probe.what == kind::probe));
  BOOST_TEST((enter("b").what == kind::hold));
  BOOST_TEST((enter("c", true).what == kind::hold)); // people, too
  BOOST_TEST((table.view(host, now).condition == host_condition::probing));
  BOOST_TEST((well("a", probe.probe) == host_change::closed));
  BOOST_TEST((enter("b").what == kind::pass));
  BOOST_TEST((table.view(host, now).condition == host_condition::up));
  for (int i = 0; i < 4; ++i) ill("r" + std::to_string(i)); // and it takes five again
  BOOST_TEST((enter("b").what == kind::pass));
}

BOOST_FIXTURE_TEST_CASE(a_try_that_fails_makes_the_next_wait_longer_up_to_a_limit, one_host) {
  open();
  auto longest = 10s;
  for (int i = 0; i < 12; ++i) {
    now = table.view(host, now).next_probe;
    const auto probe = enter("a");
    BOOST_REQUIRE((probe.what == kind::probe));
    BOOST_TEST((ill("a", probe.probe) == host_change::probe_failed));
    longest = std::min<std::chrono::seconds>(longest * 2, 5min);
    const auto wait = enter("b").wait;
    BOOST_TEST((wait >= 5s));
    BOOST_TEST((wait <= longest));
  }
}

BOOST_FIXTURE_TEST_CASE(people_need_not_wait, one_host) {
  open();
  const auto probe = enter("a", true);
  BOOST_REQUIRE((probe.what == kind::probe));
  BOOST_TEST((ill("a", probe.probe) == host_change::probe_failed));
  BOOST_TEST((enter("b").what == kind::unavailable));
}

BOOST_FIXTURE_TEST_CASE(a_try_that_says_nothing_leaves_the_decision_to_another, one_host) {
  open();
  now = table.view(host, now).next_probe;
  const auto first = enter("a");
  BOOST_TEST((ill("a", first.probe, ec::cancelled) == host_change::probe_lost));
  const auto second = enter("b");
  BOOST_REQUIRE((second.what == kind::probe));
  BOOST_TEST((table.expire(host, now + 1min) == host_change::nothing));
  BOOST_TEST((*table.next_due(host, now) == now + 2min));
  now += 2min; // it is not heard of
  BOOST_TEST((table.expire(host, now) == host_change::probe_lost));
  const auto third = enter("c");
  BOOST_REQUIRE((third.what == kind::probe));
  BOOST_TEST((ill("b", second.probe) == host_change::nothing)); // too late
  BOOST_TEST((enter("d").what == kind::hold));
  BOOST_TEST((well("b", second.probe) == host_change::closed)); // but an answer is an answer
}

BOOST_FIXTURE_TEST_CASE(one_that_nobody_comes_to_any_more_is_forgotten, one_host) {
  open();
  now += 59min;
  BOOST_TEST((table.expire(host, now) == host_change::nothing));
  const auto probe = enter("a");
  ill("a", probe.probe);
  now += 59min;
  BOOST_TEST((table.expire(host, now) == host_change::nothing));
  BOOST_TEST((*table.next_due(host, now) == now + 1min));
  now += 1min;
  BOOST_TEST((table.expire(host, now) == host_change::forgotten));
  BOOST_TEST((table.view(host, now).condition == host_condition::up));
  BOOST_TEST(table.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(hosts_know_nothing_of_each_other, one_host) {
  open();
  BOOST_TEST((table.enter({"https://other.example", "a", {}, false, false}, now).what == kind::pass));
  BOOST_TEST((table.enter({"ssh://git.example", "a", {}, false, false}, now).what == kind::pass));
}

BOOST_FIXTURE_TEST_CASE(who_asked_too_often_leaves_the_host_alone, one_host) {
  const auto told = fails(ec::throttled, {}, 30s);
  const auto as = [&](const std::string& budget, bool fetch = false) { return table.enter({host, "x", budget, true, fetch}, now); };
  BOOST_TEST((table.ended(who("a", false, "team/key"), 0, &told, told.retry_after, now) == host_change::paused));
  BOOST_TEST((as("team/key").what == kind::paused)); // people, too
  BOOST_TEST((as("team/key").wait == 30s));
  BOOST_TEST((as("team/key", true).what == kind::paused));
  BOOST_TEST((as("team/other").what == kind::pass)); // a Secret that is used up silences nobody else
  BOOST_TEST((as("").what == kind::pass));
  BOOST_TEST((*table.next_due(host, now) == now + 30s));
  now += 30s;
  BOOST_TEST((as("team/key").what == kind::pass));
  BOOST_TEST(table.view(host, now).pauses.empty());
}

BOOST_FIXTURE_TEST_CASE(a_host_that_cannot_now_is_left_alone_by_all, one_host) {
  const auto told = fails(ec::unavailable, {}, 2h);
  BOOST_TEST((table.ended(who("a", false, "team/key"), 0, &told, told.retry_after, now) == host_change::paused));
  for (const auto* budget : {"", "team/key", "team/other"}) {
    const auto answer = table.enter({host, "x", budget, true, false}, now);
    BOOST_TEST((answer.what == kind::paused));
    BOOST_TEST((answer.wait == 1h)); // and no longer
  }
  now += 1h;
  BOOST_TEST((enter("x").what == kind::pass));
}

BOOST_FIXTURE_TEST_CASE(a_good_answer_can_ask_for_patience_too, one_host) {
  BOOST_TEST((table.ended(who("a"), 0, nullptr, 10s, now) == host_change::paused));
  BOOST_TEST((table.ended(who("b"), 0, nullptr, 40s, now) == host_change::nothing)); // longer, nothing to say
  BOOST_TEST((enter("a").wait == 40s));
  BOOST_TEST((table.ended(who("b"), 0, nullptr, 1s, now) == host_change::nothing));
  BOOST_TEST((enter("a").wait == 40s)); // never shorter
}

BOOST_FIXTURE_TEST_CASE(what_a_proxy_of_ones_own_says_is_not_the_hosts_wish, one_host) {
  const auto told = fails(ec::unavailable, "spec.git.secretRef", 1h);
  table.ended(who("a", false, "team/key"), 0, &told, told.retry_after, now);
  BOOST_TEST((enter("x").what == kind::pass));
}

BOOST_AUTO_TEST_CASE(hosts_that_are_well_and_not_used_any_more_are_forgotten) {
  host_table table{{}, 7};
  steady_instant now{1h};
  const auto down = fails(ec::timed_out);
  for (int i = 0; i < 5; ++i) table.ended({"https://down", "r", {}, false, false}, 0, &down, {}, now);
  for (int i = 0; i < 10'000; ++i) {
    now += 10s;
    table.ended({"https://host" + std::to_string(i), "r", {}, false, false}, 0, nullptr, {}, now);
  }
  BOOST_TEST(table.size() < 2'000U);
  BOOST_TEST((table.view("https://down", now).condition == host_condition::down));
}
