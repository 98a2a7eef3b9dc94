#pragma once

#include "actors/logic/cron.hpp"

namespace veranda::logic {

/// What a cron expression says, before it is asked for times.
struct cron_expression {
  std::string zone;
  cron_fields fields;
  std::chrono::seconds every{0}; ///< not zero for `@every`
};

/// The grammar of robfig/cron v3.0.1's standard parser: a zone, then five fields or a word behind `@`. Failure `invalid_spec` names the field, the value and the rule.
[[nodiscard]] result<cron_expression> parse_cron(std::string_view expression, const std::string& default_zone);

} // namespace veranda::logic
