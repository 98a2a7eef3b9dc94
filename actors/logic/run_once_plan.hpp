#pragma once

#include "messages/model/time.hpp"

#include <vector>

namespace veranda::logic {

/// The life of `spec.sync.runOnceAt`: accepted when first seen in the future, armed, consumed exactly once. Whole seconds. Value type, no clock.
class run_once_plan {
public:
  run_once_plan() = default;
  run_once_plan(std::optional<wall_time> accepted, std::optional<wall_time> consumed);

  /// `value` was announced as what comes next, so it was accepted, whether or not that was stored. Before the first `observe`.
  void restore_told(std::optional<wall_time> value);
  /// The spec says this now. Answers whether what must be durable changed; tells what it decided in `log`.
  bool observe(std::optional<wall_time> wanted, wall_time now, std::vector<std::string>& log);
  /// The sync that began when `value` was due needs no further run.
  void consume(wall_time value);

  /// Accepted and not consumed.
  [[nodiscard]] std::optional<wall_time> accepted() const noexcept { return accepted_; }
  [[nodiscard]] std::optional<wall_time> consumed() const noexcept { return consumed_; }
  /// The value in the spec, once it was consumed.
  [[nodiscard]] std::optional<wall_time> observed() const noexcept;

private:
  bool seen_any_ = false;
  std::optional<wall_time> seen_;
  std::optional<wall_time> accepted_;
  std::optional<wall_time> consumed_;
  std::optional<wall_time> told_; ///< until the first `observe`
};

} // namespace veranda::logic
