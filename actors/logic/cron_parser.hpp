#pragma once

#include "actors/logic/cron.hpp"

namespace veranda::logic {

/// What a cron expression says, before it is asked for times.
struct cron_expression {
  std::string zone;
  cron_fields fields;
  std::chrono::seconds every{0}; ///< not zero for `@every`
};

/// The grammar of porch-behaviour 2.2. Failure `invalid_spec` names the field, the value and the rule.
[[nodiscard]] result<cron_expression> parse_cron(std::string_view expression, const std::string& default_zone);

} // namespace veranda::logic
