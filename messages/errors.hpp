#pragma once

#include "messages/model/failure.hpp"

#include <caf/error.hpp>

namespace veranda {

/// The only bridge between `failure` and `caf::error`. The failure travels whole; errors of CAF itself map to `timed_out` (request timeout),
/// `cancelled` (the receiver is gone) or `internal`.
caf::error to_error(const failure& f);
failure to_failure(const caf::error& e);

} // namespace veranda
