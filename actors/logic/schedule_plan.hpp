#pragma once

#include "actors/logic/repository_machine.hpp"

namespace veranda::logic {

/// The periodic part of a repository's schedule: a cron expression, or the default frequency. Value type, no clock.
class schedule_plan {
public:
  explicit schedule_plan(const machine_settings& settings) : frequency_(settings.default_frequency), time_zone_(settings.time_zone) {}

  /// Takes a new expression (empty: the default frequency). A bad one falls back to the default frequency, see `problem`.
  void set_expression(const std::string& expression);
  [[nodiscard]] const std::string& expression() const noexcept { return expression_; }
  /// The default frequency from the next planning on.
  void set_frequency(std::chrono::milliseconds frequency) noexcept { frequency_ = frequency; }
  /// A cron expression is in force.
  [[nodiscard]] bool by_cron() const noexcept { return cron_.has_value(); }
  /// Which rule the expression breaks; empty when it is good.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// The good expression has no run within the next years, so the default frequency holds. As of the last planning.
  [[nodiscard]] bool runs_never() const noexcept { return runs_never_; }
  [[nodiscard]] std::chrono::milliseconds frequency() const noexcept { return frequency_; }

  /// Plans after a sync that began at `begun` and ended at `ended`. A cron run that came due while it ran is due at once: none is lost.
  void plan_after(wall_time begun, wall_time ended);
  /// Plans from `now` without a sync: after a changed expression, or at the start. With the default frequency the end of the last sync
  /// still counts when that leaves the next run in the future.
  void plan_from(wall_time now, std::optional<wall_time> last_end);
  /// Moves the due time to an earlier one (spreading).
  void advance_by(std::chrono::milliseconds d);
  /// Re-plans when the clock went back: a due time further away than one period, or than the second cron run from now.
  /// (A small step back must not repeat the run that was just done.) Answers whether it moved.
  bool heal(wall_time now);

  [[nodiscard]] std::optional<wall_time> due() const noexcept { return due_; }
  [[nodiscard]] const std::string& time_zone() const noexcept { return time_zone_; }
  /// The next `count` times from `now` on, the first as planned, when no sync took any time. Fewer when a cron expression ends.
  [[nodiscard]] std::vector<wall_time> upcoming(wall_time now, std::size_t count) const;

private:
  void plan_cron(wall_time after, wall_time otherwise);

  std::chrono::milliseconds frequency_;
  std::string time_zone_;
  std::string expression_;
  std::optional<cron_schedule> cron_;
  std::string problem_;
  bool runs_never_ = false;
  std::optional<wall_time> due_;
};

} // namespace veranda::logic
