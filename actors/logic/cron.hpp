#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/time.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace veranda::logic {

/// A parsed cron expression (porch-behaviour 2.2: robfig/cron v3.0.1's standard parser, without its panics).
/// Value type; parse once, ask often.
class cron_schedule {
public:
  /// `default_zone` is the IANA zone for an expression without `TZ=`/`CRON_TZ=`. Failure `invalid_spec` names the rule that is broken.
  static result<cron_schedule> parse(std::string_view expression, const std::string& default_zone = "UTC");

  /// First time strictly after `t`; nothing when there is none within five years.
  [[nodiscard]] std::optional<wall_time> next(wall_time t) const;

  /// The zone the expression is read in.
  [[nodiscard]] const std::string& zone() const noexcept { return zone_; }

private:
  std::string zone_;
  std::uint64_t minute_ = 0, hour_ = 0, day_of_month_ = 0, month_ = 0, day_of_week_ = 0; ///< bit sets
  bool dom_star_ = false, dow_star_ = false;
  std::chrono::seconds every_{0}; ///< `@every`; other fields unused then
};

/// True when the IANA zone database of this machine knows the zone.
[[nodiscard]] bool time_zone_exists(const std::string& zone);

} // namespace veranda::logic
