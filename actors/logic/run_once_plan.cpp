#include "actors/logic/run_once_plan.hpp"

namespace veranda::logic {
namespace {

std::optional<wall_time> whole_seconds(std::optional<wall_time> t) {
  if (t) t = std::chrono::floor<std::chrono::seconds>(*t);
  return t;
}

} // namespace

run_once_plan::run_once_plan(std::optional<wall_time> accepted, std::optional<wall_time> consumed)
    : accepted_(whole_seconds(accepted)), consumed_(whole_seconds(consumed)) {}

void run_once_plan::restore_told(std::optional<wall_time> value) { told_ = whole_seconds(value); }

bool run_once_plan::observe(std::optional<wall_time> wanted, wall_time now, std::vector<std::string>& log) {
  wanted = whole_seconds(wanted);
  if (seen_any_ && wanted == seen_) return false;
  seen_any_ = true;
  seen_ = wanted;
  const auto before = accepted_;
  if (!wanted) {
    accepted_.reset();
    if (before) log.push_back("one-time sync at " + format_rfc3339(*before) + " is cancelled");
  } else if (wanted == accepted_) {
    log.push_back("scheduling one-time sync at " + format_rfc3339(*wanted)); // restored
  } else if (wanted == consumed_) {
    accepted_.reset();
  } else if (*wanted > now || wanted == told_) {
    accepted_ = wanted;
    log.push_back("scheduling one-time sync at " + format_rfc3339(*wanted));
  } else {
    accepted_.reset();
    log.push_back("skipping one-time sync at " + format_rfc3339(*wanted) + ": it was past when first seen");
  }
  told_.reset();
  return accepted_ != before;
}

void run_once_plan::consume(wall_time value) {
  if (accepted_ != value) return;
  consumed_ = value;
  accepted_.reset();
}

std::optional<wall_time> run_once_plan::observed() const noexcept { return seen_ == consumed_ ? consumed_ : std::nullopt; }

} // namespace veranda::logic
