// links: veranda_logic
#define BOOST_TEST_MODULE admission
#include "actors/logic/admission.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <random>
#include <set>

using namespace veranda::logic;

namespace {

admission_job job(std::uint64_t id, std::string ns = "a", std::string host = "h", bool user = false) { return {id, std::move(ns), std::move(host), user}; }

/// Starts and ends everything, one at a time; the order of the ids.
std::vector<std::uint64_t> order(admission& q) {
  std::vector<std::uint64_t> ids;
  while (const auto next = q.pop()) {
    ids.push_back(next->id);
    q.done(next->id);
  }
  return ids;
}

} // namespace

BOOST_AUTO_TEST_CASE(orders) {
  struct row {
    const char* why;
    std::vector<admission_job> jobs;
    std::vector<std::uint64_t> expected;
  };
  const row rows[] = {
      {"first in, first out within a namespace", {job(3), job(1), job(2)}, {3, 1, 2}},
      {"namespaces take turns", {job(1, "a"), job(2, "a"), job(3, "a"), job(4, "b"), job(5, "c")}, {1, 4, 5, 2, 3}},
      {"people first", {job(1, "a"), job(2, "b"), job(3, "b", "h", true), job(4, "a", "h", true)}, {3, 4, 1, 2}},
      {"but not for ever",
       {job(1), job(2), job(3, "b", "h", true), job(4, "b", "h", true), job(5, "b", "h", true), job(6, "b", "h", true), job(7, "b", "h", true)},
       {3, 4, 5, 1, 6, 7, 2}},
      {"people take turns too", {job(1, "a", "h", true), job(2, "a", "h", true), job(3, "b", "h", true)}, {1, 3, 2}},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.why) {
      admission q{{}};
      for (const auto& j : r.jobs) BOOST_TEST((q.push(j) == admission_answer::accepted));
      for (std::size_t i = 0; i < r.expected.size(); ++i) BOOST_TEST(q.place(r.expected[i])->position == i + 1);
      BOOST_TEST(order(q) == r.expected, boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(slots_bound_what_runs) {
  admission q{{.slots = 2}};
  for (std::uint64_t i = 1; i <= 3; ++i) q.push(job(i));
  BOOST_TEST(q.pop().has_value());
  BOOST_TEST(q.pop().has_value());
  BOOST_TEST(!q.pop().has_value());
  q.done(1);
  BOOST_TEST(q.pop()->id == 3U);
  BOOST_TEST(q.running() == 2U);
  BOOST_TEST(q.waiting() == 0U);
}

BOOST_AUTO_TEST_CASE(a_busy_host_lets_others_pass) {
  admission q{{.slots = 0, .per_host = 1}};
  q.push(job(1, "a", "slow"));
  q.push(job(2, "a", "slow"));
  q.push(job(3, "a", "fast"));
  q.push(job(4, "b", "slow", true));
  q.push(job(5, "b", ""));
  q.push(job(6, "b", ""));
  BOOST_TEST(q.pop()->id == 4U);
  BOOST_TEST(q.pop()->id == 3U);
  BOOST_TEST(q.pop()->id == 5U);
  BOOST_TEST(q.pop()->id == 6U); // no host, no budget
  BOOST_TEST(!q.pop().has_value());
  q.done(4);
  BOOST_TEST(q.pop()->id == 1U);
  BOOST_TEST(!q.pop().has_value());
  q.done(1);
  BOOST_TEST(q.pop()->id == 2U);
}

BOOST_AUTO_TEST_CASE(says_why_a_job_waits) {
  admission q{{.slots = 3, .per_host = 1, .unproven = 2, .failing = 1}};
  q.push(job(1, "a", "known"));
  q.pop();
  q.done(1, true);
  for (const auto& j : {job(2, "a", "known"), job(3, "a", "known"), job(4, "a", "new"), job(5, "a", "newer"), job(6, "a", "newest"), job(7, "a", "")}) q.push(j);
  while (q.pop()) continue;
  q.push(job(8, "b", ""));
  const auto why = [&](std::uint64_t id) { return q.place(id)->cause; };
  BOOST_TEST((why(3) == admission_wait::host));
  BOOST_TEST((why(6) == admission_wait::unproven));
  BOOST_TEST((why(7) == admission_wait::own_turn));
  BOOST_TEST((why(8) == admission_wait::slots));
}

BOOST_AUTO_TEST_CASE(says_it_in_words) {
  BOOST_TEST(in_words({3, admission_wait::slots}, 40, "connection") == "number 3 of 40 that wait for a connection: all connections are busy");
  BOOST_TEST(in_words({1, admission_wait::host}, 1, "worker") == "number 1 of 1 that wait for a worker: as many work on its host as may");
  BOOST_TEST(in_words({2, admission_wait::unproven}, 2, "worker") == "number 2 of 2 that wait for a worker: its host did not answer yet, and few workers try such hosts");
}

BOOST_AUTO_TEST_CASE(limits_can_change_while_jobs_run_and_wait) {
  admission q{{.slots = 1, .per_host = 1}};
  for (std::uint64_t i = 1; i <= 6; ++i) q.push(job(i));
  const auto start_all = [&] {
    while (q.pop()) continue;
    return q.running();
  };
  BOOST_TEST(start_all() == 1U);
  q.change_limits({.slots = 4, .per_host = 1});
  BOOST_TEST(start_all() == 1U); // its host is busy
  q.change_limits({.slots = 4, .per_host = 3});
  BOOST_TEST(start_all() == 3U);
  q.change_limits({.slots = 2, .per_host = 2, .max_queued = 3});
  BOOST_TEST((q.push(job(7)) == admission_answer::overloaded));
  q.done(1);
  BOOST_TEST(start_all() == 2U); // what runs beyond them goes on
  q.done(2);
  BOOST_TEST(start_all() == 2U);
  q.change_limits({.slots = 0});
  BOOST_TEST(start_all() == 4U);
}

BOOST_AUTO_TEST_CASE(hosts_that_may_be_black_holes_get_a_part_of_the_slots) {
  admission q{{.slots = 8, .per_host = 4, .unproven = 4, .failing = 2}};
  std::uint64_t id = 0;
  for (int hole = 0; hole < 50; ++hole) q.push(job(++id, "holes", "hole" + std::to_string(hole)));
  std::vector<std::uint64_t> started;
  const auto start_all = [&] {
    started.clear();
    while (const auto next = q.pop()) started.push_back(next->id);
    return started.size();
  };
  BOOST_TEST(start_all() == 4U); // none of them is known yet
  for (const auto one : std::vector{started}) q.done(one, false);
  for (int hole = 0; hole < 4; ++hole) q.push(job(++id, "holes", "hole" + std::to_string(hole))); // again
  BOOST_TEST(start_all() == 4U);
  for (int round = 0; round < 20 && q.waiting() > 0; ++round) {
    for (const auto one : std::vector{started}) q.done(one, false);
    start_all();
  }
  for (const auto one : std::vector{started}) q.done(one, false);
  for (int hole = 0; hole < 50; ++hole) q.push(job(++id, "holes", "hole" + std::to_string(hole)));
  BOOST_TEST(start_all() == 2U); // all of them are known to fail
  q.push(job(++id, "fresh", "well"));
  BOOST_TEST(q.pop()->id == id); // a host that is not known finds a slot at once
  q.done(id, true);
  for (int i = 0; i < 6; ++i) q.push(job(++id, "fresh", "well"));
  BOOST_TEST(start_all() == 4U); // and four when it answers
}

BOOST_AUTO_TEST_CASE(a_host_that_is_not_known_to_answer_is_tried_once_at_a_time) {
  admission q{{.slots = 8, .unproven = 4, .failing = 2}};
  for (std::uint64_t i = 1; i <= 3; ++i) q.push(job(i));
  BOOST_TEST(q.pop()->id == 1U);
  BOOST_TEST(!q.pop().has_value());
  q.done(1); // it was stopped: nothing is learned
  BOOST_TEST(q.pop()->id == 2U);
  BOOST_TEST(!q.pop().has_value());
}

BOOST_AUTO_TEST_CASE(bounded) {
  admission q{{.slots = 1, .max_queued = 2}};
  BOOST_TEST((q.push(job(1)) == admission_answer::accepted));
  BOOST_TEST((q.push(job(1)) == admission_answer::duplicate));
  BOOST_TEST((q.push(job(2)) == admission_answer::accepted));
  BOOST_TEST((q.push(job(3)) == admission_answer::overloaded));
  q.pop();
  BOOST_TEST((q.push(job(1)) == admission_answer::duplicate)); // it runs
  BOOST_TEST((q.push(job(3)) == admission_answer::accepted));
}

BOOST_AUTO_TEST_CASE(cancelling) {
  admission q{{.slots = 1}};
  for (std::uint64_t i = 1; i <= 3; ++i) q.push(job(i));
  q.pop();
  BOOST_TEST(!q.cancel(1)); // runs
  BOOST_TEST(q.cancel(2));
  BOOST_TEST(!q.cancel(2));
  BOOST_TEST(!q.place(2).has_value());
  BOOST_TEST(q.place(3)->position == 1U);
  q.done(1);
  q.done(1);
  q.done(99);
  BOOST_TEST(order(q) == (std::vector<std::uint64_t>{3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_newcomer_waits_one_turn_not_a_queue) {
  admission q{{}};
  for (std::uint64_t i = 1; i <= 1000; ++i) q.push(job(i, "big"));
  q.push(job(2000, "small"));
  BOOST_TEST(q.place(2000)->position == 2U);
}

BOOST_AUTO_TEST_CASE(random_use_keeps_every_promise) {
  const auto seed = std::random_device{}();
  BOOST_TEST_CONTEXT("seed " << seed) {
    std::mt19937 rng{seed};
    admission q{{.slots = 5, .per_host = 2, .max_queued = 200}};
    std::map<std::uint64_t, admission_job> waiting, running;
    std::uint64_t next = 0;
    unsigned people = 0; ///< in a row
    for (int step = 0; step < 20'000; ++step) {
      const auto dice = rng() % 10;
      if (dice < 4) {
        const auto j = job(++next, std::string(1, static_cast<char>('a' + rng() % 6)), rng() % 9 == 0 ? "" : "h" + std::to_string(rng() % 4), rng() % 5 == 0);
        const auto answer = q.push(j);
        BOOST_REQUIRE((answer == (waiting.size() < 200 ? admission_answer::accepted : admission_answer::overloaded)));
        if (answer == admission_answer::accepted) waiting.emplace(j.id, j);
      } else if (dice < 7) {
        const auto on = [&](const std::string& h) { return std::count_if(running.begin(), running.end(), [&](const auto& r) { return r.second.host == h; }); };
        const auto startable = [&](const admission_job& j) { return j.host.empty() || on(j.host) < 2; };
        const bool any = running.size() < 5 && std::any_of(waiting.begin(), waiting.end(), [&](const auto& w) { return startable(w.second); });
        const bool any_user = std::any_of(waiting.begin(), waiting.end(), [&](const auto& w) { return w.second.user && startable(w.second); });
        const bool any_rest = std::any_of(waiting.begin(), waiting.end(), [&](const auto& w) { return !w.second.user && startable(w.second); });
        const auto got = q.pop();
        BOOST_REQUIRE(got.has_value() == any);
        if (!got) continue;
        BOOST_REQUIRE(startable(*got));
        BOOST_REQUIRE(got->user == (people < 3 ? any_user : !any_rest));
        people = got->user ? people + 1 : 0;
        for (const auto& [id, w] : waiting) BOOST_REQUIRE(!(w.ns == got->ns && w.user == got->user && id < got->id && startable(w)));
        running.emplace(got->id, *got);
        waiting.erase(got->id);
      } else if (dice < 9 && !running.empty()) {
        const auto id = std::next(running.begin(), static_cast<long>(rng() % running.size()))->first;
        q.done(id);
        running.erase(id);
      } else if (!waiting.empty()) {
        const auto id = std::next(waiting.begin(), static_cast<long>(rng() % waiting.size()))->first;
        BOOST_REQUIRE(q.cancel(id));
        waiting.erase(id);
      }
      BOOST_REQUIRE(q.waiting() == waiting.size());
      BOOST_REQUIRE(q.running() == running.size());
    }
    std::set<std::size_t> positions;
    for (const auto& [id, w] : waiting) positions.insert(q.place(id)->position);
    BOOST_TEST(positions.size() == waiting.size()); // a permutation of 1..n
    if (!positions.empty()) BOOST_TEST(*positions.rbegin() == waiting.size());
  }
}
