#pragma once

#include "actors/logic/repository_machine.hpp"
#include "actors/logic/retry_policy.hpp"
#include "actors/logic/run_once_plan.hpp"
#include "actors/logic/schedule_plan.hpp"
#include "actors/logic/sync_demand.hpp"

#include <random>

namespace veranda::logic {

/// Enough randomness to spread retries and first syncs, in 8 bytes (Knuth's constants): each of thousands of machines has one of its own.
using small_random = std::linear_congruential_engine<std::uint64_t, 6364136223846793005U, 1442695040888963407U, 0U>;

/// The state of `repository_machine` and its steps; for its own source files only.
struct repository_machine::impl {
  /// The one sync in flight and what it was started for.
  struct running_sync {
    sync_order order;
    sync_demand demand;
    wall_time started{};
    std::int64_t generation = 0;       ///< of the last relevant change that it covers
    std::string request;               ///< value of the sync request that it serves
    std::optional<wall_time> run_once; ///< one-time sync that it serves
    bool visible = false;              ///< shown as in progress
    bool real = true;                  ///< false: a health check that has found nothing yet
    bool cancelled = false;            ///< we set its cancel token
  };

  impl(machine_settings s, std::uint64_t seed, std::optional<durable_state> restored);

  // Steps (repository_machine.cpp, machine_outcome.cpp)
  void begin(wall_time now);
  void heal_clock(wall_time now);
  void take_request(wall_time now);
  void take_permit(wall_time now);
  void take_spec(wall_time now, effects& fx);
  void take_settings(const machine_settings& settings, wall_time now, effects& fx);
  void take_schedule(bool first, wall_time now, effects& fx);
  void cancel_running(effects& fx);
  void start_due(wall_time now, effects& fx);
  void start(sync_demand demand, wall_time now, effects& fx);
  void look_at_hold(sync_order& order, wall_time now) const;
  void conclude(const running_sync& run, const sync_outcome& outcome, wall_time now, effects& fx);
  void take_up_again(const running_sync& run, const failure& f, wall_time now);
  void succeed(const running_sync& run, const sync_outcome& outcome, wall_time now, effects& fx);
  void fail(const running_sync& run, const failure& f, wall_time now, effects& fx);
  void settle_duties(const running_sync& run, effects& fx);
  void plan_after(const running_sync& run, wall_time now, effects& fx);
  void plan_retry(std::chrono::milliseconds delay, wall_time now);
  void spread_first_waits();
  void record(const running_sync& run, const sync_outcome& outcome, wall_time now);
  /// Ends every step: starts what is due and compares what there is to say with what was said.
  effects finish(effects fx, wall_time now);

  // Views (machine_status.cpp)
  [[nodiscard]] bool blocked() const noexcept { return !known_ || deleted_ || suspended_ || spec_failure_.has_value(); }
  [[nodiscard]] sync_cause schedule_cause() const noexcept { return plan_.by_cron() && !plan_.runs_never() ? sync_cause::cron : sync_cause::periodic; }
  [[nodiscard]] next_sync next_planned() const;
  [[nodiscard]] next_sync planned() const;
  [[nodiscard]] std::optional<wall_time> next_due() const;
  [[nodiscard]] condition ready() const;
  void add_progress(std::vector<condition>& out) const;
  [[nodiscard]] repository_status build_status() const;
  [[nodiscard]] durable_state durable() const;
  [[nodiscard]] sync_plan plan(wall_time now, std::size_t times) const;

  double draw() { return std::uniform_real_distribution<double>{0.0, 1.0}(rng_); }

  machine_settings settings_;
  small_random rng_;
  wall_time last_now_ = wall_time::min();
  std::uint64_t sync_counter_ = 0;

  // the object
  repository_object object_;
  bool known_ = false;   ///< `on_object` was called
  bool started_ = false; ///< the first sync was asked for
  bool suspended_ = false;
  bool deleted_ = false;
  std::optional<failure> spec_failure_;
  std::optional<repository_spec> good_spec_;  ///< last one without problems
  std::int64_t relevant_generation_ = 0;      ///< of the last change that needs a sync
  std::int64_t observed_generation_ = 0;      ///< as published
  std::string seen_request_;
  std::string seen_permit_;
  std::vector<std::string> conflicts_;

  // what to do when
  schedule_plan plan_;
  wall_time schedule_changed_ = wall_time::min();
  run_once_plan run_once_;
  std::optional<wall_time> retry_due_;
  std::chrono::milliseconds retry_delay_{0};
  std::optional<wall_time> health_due_;
  std::optional<wall_time> hold_;      ///< nothing but a trigger starts before
  std::optional<sync_demand> pending_; ///< starts as soon as it may
  std::optional<sync_demand> parked_;  ///< joins whatever starts next
  std::optional<running_sync> running_;
  bool shown_in_progress_ = false; ///< by a sync that is redone at once
  bool was_spread_ = false;
  failure_streak streak_;

  // how it went
  std::optional<failure> error_;
  bool stalled_ = false;
  std::optional<wall_time> last_end_;
  std::optional<wall_time> last_full_; ///< last full compare, in this process
  bool rechecked_ = false;           ///< what was held before the restart was judged by this process
  std::string note_;
  durable_state kept_; ///< the rest of what is durable; run-once, error and next time are filled in by `durable`

  // what was said
  std::optional<repository_status> said_;
  bool told_ = false; ///< what is published is still that of before the restart
  std::vector<condition> stamped_;
};

} // namespace veranda::logic
