// links: veranda_house
#define BOOST_TEST_MODULE worker_pool
#include "tests/actor/house.hpp"

using namespace veranda;
using namespace veranda::test;

namespace {

struct pool_fixture : house {
  pool_fixture() {
    workers->hold = true;
    workers->instead = [](const msg::job&) { return result<msg::job_result>{msg::job_result{}}; };
  }
  void make(std::size_t slots, std::size_t queued = 100) {
    logic::admission_limits limits_here;
    limits_here.slots = slots;
    limits_here.max_queued = queued;
    subject = spawn_pool("worker-pool", limits_here);
    settle();
  }
  answer<msg::job_result> push(const std::string& ns, const std::string& name, bool user = false, cancel_token_ptr cancel = std::make_shared<cancel_token>()) {
    msg::job job;
    job.kind = msg::job_kind::sync;
    job.remote.url = "https://git.example/" + name;
    job.mirror = "/mirrors/" + name;
    job.sync.key = {ns, name};
    job.sync.uid = name;
    job.sync.user = user;
    job.cancel = std::move(cancel);
    auto out = ask<msg::job_result>(subject, std::move(job));
    settle();
    return out;
  }
  [[nodiscard]] std::vector<std::string> under_way() const {
    std::vector<std::string> out;
    for (const auto& one : workers->held)
      out.push_back(to_string(one.job.sync.key));
    return out;
  }
  /// Ends jobs one by one; the order in which they began.
  std::vector<std::string> run_out() {
    std::vector<std::string> order;
    while (!workers->held.empty()) {
      order.push_back(to_string(workers->held.front().job.sync.key));
      workers->release_one();
      settle();
    }
    return order;
  }
  worker_pool_state& inside() { return state_of<worker_pool_state>(subject); }
  void at_end() override {
    subject = nullptr;
    house::at_end();
  }
  worker_pool_actor subject;
};

using names = std::vector<std::string>;

} // namespace

BOOST_FIXTURE_TEST_SUITE(worker_pool_actor_suite, pool_fixture)

BOOST_AUTO_TEST_CASE(runs_as_many_jobs_as_it_has_slots) {
  make(3);
  std::vector<answer<msg::job_result>> answers;
  for (int i = 0; i < 10; ++i)
    answers.push_back(push("team", "r" + std::to_string(i)));
  BOOST_TEST(workers->held.size() == 3U);
  run_out();
  for (const auto& a : answers)
    BOOST_TEST((a->has_value() && (*a)->ok()));
  BOOST_TEST(workers->most_under_way == 3U);
  BOOST_TEST(inside().jobs.empty());
  BOOST_TEST(inside().idle.size() == 3U);
}

BOOST_AUTO_TEST_CASE(has_as_many_workers_as_it_is_told) {
  make(1);
  for (int i = 0; i < 8; ++i)
    push("team", "r" + std::to_string(i));
  const auto tell_slots = [&](std::size_t slots) {
    tell(subject, msg::limits_changed{std::make_shared<const logic::admission_limits>(logic::admission_limits{.slots = slots}), 7s});
    settle();
  };
  tell_slots(4);
  BOOST_TEST(workers->held.size() == 4U);
  tell_slots(2);
  BOOST_TEST(workers->held.size() == 4U); // what runs goes on
  for (int i = 0; i < 3; ++i) {
    workers->release_one();
    settle();
  }
  BOOST_TEST(workers->held.size() == 2U);
  BOOST_TEST(inside().idle.size() + inside().busy.size() == 2U);
  run_out();
  BOOST_TEST(inside().idle.size() == 2U);
  tell_slots(1);
  BOOST_TEST(inside().idle.size() == 1U);
  BOOST_TEST((inside().deps.job_timeout == 7s));
  push("team", "one-more");
  BOOST_TEST(run_out().size() == 1U);
}

BOOST_AUTO_TEST_CASE(namespaces_take_turns_and_people_go_first) {
  make(1);
  push("big", "0");
  for (const auto* name : {"1", "2", "3"})
    push("big", name);
  push("small", "1");
  push("big", "asked", true);
  BOOST_TEST(run_out() == (names{"big/0", "big/asked", "big/1", "small/1", "big/2", "big/3"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_full_queue_answers_overloaded) {
  make(1, 2);
  push("team", "runs");
  push("team", "waits");
  push("team", "waits-too");
  const auto refused = push("team", "too-many");
  BOOST_REQUIRE(refused->has_value());
  BOOST_TEST(to_string((*refused)->error().code) == "overloaded");
  workers->release_one();
  settle();
  push("team", "fits-again");
  BOOST_TEST(run_out().size() == 3U);
}

BOOST_AUTO_TEST_CASE(one_cancelled_while_it_waits_takes_no_worker) {
  make(1);
  push("team", "runs");
  auto cancel = std::make_shared<cancel_token>();
  const auto waits = push("team", "waits", false, cancel);
  cancel->stop = true;
  workers->release_one();
  settle();
  BOOST_TEST(workers->held.empty());
  BOOST_REQUIRE(waits->has_value());
  BOOST_TEST(to_string((*waits)->error().code) == "cancelled");
  BOOST_TEST(inside().idle.size() == 1U);
}

BOOST_AUTO_TEST_CASE(stopped_jobs_leave_the_queue_when_somebody_asks) {
  make(1);
  push("team", "runs");
  auto cancel = std::make_shared<cancel_token>();
  const auto stopped = push("team", "stopped", false, cancel);
  const auto waits = push("team", "waits");
  cancel->stop = true;
  tell(subject, msg::drop_stopped_jobs{});
  BOOST_REQUIRE(stopped->has_value()); // before any worker is free
  BOOST_TEST(to_string((*stopped)->error().code) == "cancelled");
  BOOST_TEST(!waits->has_value());
  BOOST_TEST(inside().jobs.size() == 2U);
  BOOST_TEST(run_out() == (names{"team/runs", "team/waits"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_worker_that_hangs_past_its_deadline_is_replaced) {
  make(1);
  auto cancel = std::make_shared<cancel_token>();
  cancel->deadline = std::chrono::steady_clock::now() + 60s; // the pool asks the real clock how much of it is left
  const auto hangs = push("team", "hangs", false, cancel);
  const auto waits = push("team", "waits");
  advance(74s);
  BOOST_TEST(!hangs->has_value());
  advance(2s); // deadline and grace
  BOOST_REQUIRE(hangs->has_value());
  BOOST_TEST(to_string((*hangs)->error().code) == "timed_out");
  BOOST_TEST(cancel->stop.load());
  BOOST_TEST(inside().replaced == 1U);
  BOOST_TEST(under_way() == (names{"team/hangs", "team/waits"}), boost::test_tools::per_element());
  workers->release(); // the lost worker comes back after all: nobody listens
  settle();
  BOOST_TEST((waits->has_value() && (*waits)->ok()));
  BOOST_TEST(inside().idle.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_job_has_one_timer_and_none_once_it_is_answered) {
  make(1);
  auto& timers = dynamic_cast<caf::scheduler::test_coordinator&>(system().scheduler()).clock().schedule();
  push("team", "runs");
  BOOST_TEST(timers.size() == 1U);
  run_out();
  BOOST_TEST(timers.empty());
}

BOOST_AUTO_TEST_CASE(a_job_without_a_deadline_gets_the_pools) {
  make(1);
  const auto hangs = push("team", "hangs");
  advance(20min + 16s);
  BOOST_REQUIRE(hangs->has_value());
  BOOST_TEST(to_string((*hangs)->error().code) == "timed_out");
}

BOOST_AUTO_TEST_CASE(a_worker_that_throws_fails_its_job_and_is_replaced) {
  make(1);
  workers->throws = true;
  const auto bad = push("team", "bad");
  BOOST_REQUIRE(bad->has_value());
  BOOST_TEST(!(*bad)->ok());
  BOOST_TEST(inside().replaced == 1U);
  const auto good = push("team", "good");
  run_out();
  BOOST_TEST((good->has_value() && (*good)->ok()));
}

BOOST_AUTO_TEST_CASE(an_idle_worker_that_died_costs_one_job_and_is_replaced) {
  make(1);
  crash(inside().idle.front().handle);
  settle();
  const auto lost = push("team", "lost");
  BOOST_REQUIRE(lost->has_value());
  BOOST_TEST(!(*lost)->ok());
  const auto good = push("team", "good");
  run_out();
  BOOST_TEST((good->has_value() && (*good)->ok()));
  BOOST_TEST(inside().idle.size() == 1U);
}

BOOST_AUTO_TEST_CASE(told_to_end_it_finishes_what_runs_and_refuses_what_waits_and_what_comes) {
  make(1);
  const auto runs = push("team", "runs");
  const auto waits = push("team", "waits");
  exit_now(subject, caf::exit_reason::user_shutdown);
  settle();
  const auto late = push("team", "late");
  for (const auto& refused : {waits, late}) {
    BOOST_REQUIRE(refused->has_value());
    BOOST_TEST((!(*refused)->ok() && (*refused)->error().code == ec::cancelled));
  }
  BOOST_TEST(!runs->has_value());
  BOOST_TEST((run_out() == names{"team/runs"}));
  BOOST_TEST((runs->has_value() && (*runs)->ok()));
  BOOST_TEST(!alive(subject));
}

BOOST_AUTO_TEST_CASE(told_to_end_with_nothing_to_do_it_ends) {
  make(2);
  exit_now(subject, caf::exit_reason::user_shutdown);
  settle();
  BOOST_TEST(!alive(subject));
}

BOOST_AUTO_TEST_CASE(killed_it_stops_what_runs_and_what_waits) {
  make(1);
  auto runs = std::make_shared<cancel_token>();
  auto waits = std::make_shared<cancel_token>();
  push("team", "runs", false, runs);
  push("team", "waits", false, waits);
  exit_now(subject, caf::exit_reason::kill);
  settle();
  BOOST_TEST(!alive(subject));
  BOOST_TEST(runs->stop.load());
  BOOST_TEST(waits->stop.load());
}

BOOST_AUTO_TEST_SUITE_END()
