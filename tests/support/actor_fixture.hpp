#pragma once

#include "actors/common/env.hpp"
#include "actors/common/guard.hpp"
#include "messages/actor_handles.hpp"
#include "messages/errors.hpp"
#include "tests/support/fakes/telemetry.hpp"

#include <boost/test/results_collector.hpp>
#include <boost/test/unit_test.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>

namespace veranda::test {

using namespace std::chrono_literals;

/// What a request was answered with; empty while there is no answer.
template <class T>
using answer = std::shared_ptr<std::optional<result<T>>>;

/// An actor system without threads: jobs run when the test says so, in the order they became ready (or in a seeded one), and time passes only by
/// `advance`, which steps to each due timer. Wall time follows steady time. Ends every actor that was tracked; one that lives on fails the test.
class actor_fixture {
public:
  actor_fixture() : logging_(std::getenv("VERANDA_TEST_LOG") != nullptr), system_(config_), scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())) {
    // Cancel tokens know real time only: starting from it keeps the two apart by no more than what the test advances.
    scheduler_.clock().current_time = steady_start_ = std::chrono::steady_clock::now();
    env.wall_now = [this] { return wall_now(); };
    env.seed = 42;
    env.cells = std::make_shared<cell_registry>();
    env.telemetry = telemetry;
  }
  actor_fixture(const actor_fixture&) = delete;
  actor_fixture& operator=(const actor_fixture&) = delete;
  virtual ~actor_fixture() { end_all(); }

  template <class Handle>
  Handle track(Handle handle) {
    owned_.push_back(caf::actor_cast<caf::actor>(handle));
    return handle;
  }
  template <class... Args>
  auto spawn(Args&&... args) {
    return track(system_.spawn(std::forward<Args>(args)...));
  }
  caf::actor_system& system() { return system_; }

  /// Messages only, no timers, until nothing is left to do (or `at_rest` says so). Fails when it does not come to rest.
  std::size_t settle() {
    std::size_t steps = 0;
    for (; !scheduler_.jobs.empty() && !(at_rest && at_rest()); ++steps) {
      BOOST_REQUIRE_MESSAGE(steps < 1'000'000, "the actors do not come to rest");
      step();
    }
    return steps;
  }
  /// One job; with `shuffle` a random one of those that are ready.
  void step() {
    auto& jobs = scheduler_.jobs;
    if (shuffle && jobs.size() > 1)
      std::swap(jobs.front(), jobs[std::uniform_int_distribution<std::size_t>{0, jobs.size() - 1}(*shuffle)]);
    auto* const ran = jobs.front();
    scheduler_.run_once();
    if (jobs.size() > 1 && jobs.front() == ran) // what has more to do goes to the end of the line
      std::rotate(jobs.begin(), jobs.begin() + 1, jobs.end());
  }
  [[nodiscard]] bool idle() const { return scheduler_.jobs.empty(); }
  /// Lets time pass, timer by timer.
  void advance(std::chrono::nanoseconds d) {
    auto& clock = scheduler_.clock();
    const auto end = clock.current_time + d;
    settle();
    while (clock.has_pending_timeout()) {
      const auto due = clock.schedule().begin()->first;
      if (due > end)
        break;
      clock.advance_time(std::max(due - clock.current_time, caf::actor_clock::duration_type{0}));
      settle();
    }
    clock.current_time = end;
    settle();
  }
  /// Advances in steps until `condition` holds; fails the test when it does not within `limit`.
  template <class Condition>
  void advance_until(Condition condition, std::chrono::nanoseconds limit = 1h, std::chrono::nanoseconds pace = 1s) {
    settle();
    for (std::chrono::nanoseconds waited{0}; !condition(); waited += pace) {
      BOOST_REQUIRE_MESSAGE(waited < limit, "what was waited for did not happen");
      advance(pace);
    }
  }

  /// Timers of requests: an answered one must have none.
  [[nodiscard]] std::size_t request_timers() {
    const auto& timers = scheduler_.clock().schedule();
    return static_cast<std::size_t>(std::count_if(timers.begin(), timers.end(), [](const auto& t) { return t.second->subtype == caf::detail::simple_actor_clock::request_timeout_type; }));
  }
  [[nodiscard]] std::chrono::nanoseconds elapsed() { return scheduler_.clock().current_time - steady_start_; }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() { return scheduler_.clock().current_time; }
  [[nodiscard]] wall_time wall_now() { return wall_start + std::chrono::duration_cast<wall_time::duration>(elapsed()); }

  /// Asks without waiting.
  template <class T, class Handle, class... Parts>
  answer<T> ask(const Handle& whom, Parts... parts) {
    tick();
    auto out = std::make_shared<std::optional<result<T>>>();
    track(system_.spawn([=](caf::event_based_actor* self) {
      self->request(whom, caf::infinite, parts...)
        .then([out](const T& value) { *out = result<T>{value}; }, [out](caf::error& e) { *out = result<T>{to_failure(e)}; });
    }));
    return out;
  }
  /// Asks and runs until all is quiet; the answer must be there then, and be a good one.
  template <class T, class Handle, class... Parts>
  T get(const Handle& whom, Parts... parts) {
    const auto out = ask<T>(whom, std::move(parts)...);
    settle();
    BOOST_REQUIRE_MESSAGE(out->has_value(), "a request was not answered");
    if (!(*out)->ok())
      BOOST_FAIL(describe((*out)->error()));
    return ***out;
  }
  /// Asks and runs until all is quiet; the answer must be a failure.
  template <class T, class Handle, class... Parts>
  failure get_failure(const Handle& whom, Parts... parts) {
    const auto out = ask<T>(whom, std::move(parts)...);
    settle();
    BOOST_REQUIRE_MESSAGE(out->has_value(), "a request was not answered");
    BOOST_REQUIRE(!(*out)->ok());
    return (*out)->error();
  }
  template <class Handle, class Message>
  void tell(const Handle& whom, Message message) {
    tick();
    caf::anon_send(whom, std::move(message));
    settle();
  }
  /// An unexpected death, as an exception in a handler would cause it.
  template <class Handle>
  void crash(const Handle& whom) {
    exit_now(whom, to_error({ec::internal, "crashed by the test", {}, {}, {}}));
  }
  template <class Handle>
  [[nodiscard]] static bool alive(const Handle& whom) {
    return !caf::actor_cast<caf::abstract_actor*>(whom)->getf(caf::abstract_actor::is_terminated_flag);
  }
  /// The state of a stateful actor that is alive.
  template <class State, class Handle>
  [[nodiscard]] static State& state_of(const Handle& whom) {
    return static_cast<typename Handle::template stateful_pointer<State>>(caf::actor_cast<caf::abstract_actor*>(whom))->state;
  }
  /// Actors of this system that have not ended.
  [[nodiscard]] std::size_t running() { return system_.registry().running(); }

  /// Ends every tracked actor and what lives by them. What is left then is a leak.
  void end_all() {
    if (std::exchange(ended_, true))
      return;
    shuffle.reset();
    at_rest = nullptr;
    end_actors();
    if (running() != 0)
      report_leak();
  }

  wall_time wall_start = std::chrono::sys_days{std::chrono::year{2026} / 3 / 10} + 10h;
  std::shared_ptr<fake_telemetry> telemetry = std::make_shared<fake_telemetry>();
  runtime_env env;
  std::function<bool()> at_rest;          ///< for actors that always send themselves the next slice of their work
  std::optional<std::mt19937_64> shuffle; ///< set: ready jobs run in this order

protected:
  /// Lets go of handles and promises that a derived fixture holds.
  virtual void at_end() {}
  /// Every tracked actor and what lives by them, as the end of the process would.
  void end_actors() {
    for (const auto& a : owned_)
      caf::anon_send_exit(a, caf::exit_reason::kill);
    owned_.clear();
    at_end();
    while (!scheduler_.jobs.empty())
      scheduler_.run_once();
    scheduler_.clock().cancel_all(); // a delayed message keeps its receiver
    while (!scheduler_.jobs.empty())
      scheduler_.run_once();
  }

private:
  /// What comes from outside comes later than what was there.
  void tick() { scheduler_.clock().current_time += 1us; }
  /// The system's destructor would wait for these for ever.
  [[noreturn]] void report_leak() {
    std::string kinds;
    for (const auto& c : env.cells->snapshot())
      kinds += " " + c.kind + "(" + c.key + ")";
    std::fprintf(stderr, "%s: %zu actors live on after the end of those that own them:%s\n",
                 boost::unit_test::framework::current_test_case().full_name().c_str(), running(), kinds.c_str());
    std::abort();
  }

  struct test_config : caf::actor_system_config {
    test_config() { set("scheduler.policy", caf::atom("testing")); }
  };
  /// Shows the actors' log lines when `VERANDA_TEST_LOG` is set.
  struct test_log {
    explicit test_log(bool on) : on_(on) {
      if (on_)
        log::start(false, log::level::debug);
    }
    ~test_log() {
      if (on_)
        log::stop();
    }
    bool on_;
  };
  test_log logging_;
  test_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  std::chrono::steady_clock::time_point steady_start_;
  std::vector<caf::actor> owned_;
  bool ended_ = false;
};

} // namespace veranda::test
