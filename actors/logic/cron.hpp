#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace veranda::logic {

/// The five fields as bit sets: bit n is set when value n matches.
struct cron_fields {
  std::uint64_t minute = 0;
  std::uint64_t hour = 0;
  std::uint64_t day_of_month = 0;
  std::uint64_t month = 0;
  std::uint64_t day_of_week = 0; ///< 0 is Sunday
  bool day_of_month_star = false; ///< an item was `*` or `?` without a step above 1; see the day rule
  bool day_of_week_star = false;
  bool operator==(const cron_fields&) const = default;
};

/// A parsed cron expression as robfig/cron v3.0.1's standard parser takes it, which is Porch's, without its panics.
/// Value type; parse once, ask often.
class cron_schedule {
public:
  /// `default_zone` is the zone for an expression without `TZ=`/`CRON_TZ=`: an IANA name, `UTC`, or `Local` for the process's own.
  /// Failure `invalid_spec` names the rule that is broken. Reads the zone's file on the first use of a zone.
  static result<cron_schedule> parse(std::string_view expression, const std::string& default_zone = "UTC");

  /// First time strictly after `t`, on a whole second; nothing when there is none within five calendar years.
  /// A local time that a clock change skips does not run that day, one that it repeats runs twice. Cost: about a microsecond.
  [[nodiscard]] std::optional<wall_time> next(wall_time t) const;

  /// The zone the expression is read in.
  [[nodiscard]] const std::string& zone() const noexcept { return zone_; }

private:
  std::string zone_;
  cron_fields fields_;
  std::chrono::seconds every_{0}; ///< `@every`; the fields are unused then
};

/// True when the zone is `UTC`, `Local` or in the IANA zone database of this machine. Reads the zone's file on first use.
[[nodiscard]] bool time_zone_exists(const std::string& zone);

} // namespace veranda::logic
