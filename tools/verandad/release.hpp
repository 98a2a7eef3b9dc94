#pragma once

#include "config/settings/settings.hpp"

namespace veranda {

/// `verandad release`: takes what a daemon put on the objects of an API server away again, for an uninstall. A line for each outcome on standard output; answers the exit
/// status: 0 all is done, 1 something could not be, 2 there is no usable configuration.
int run_release(const config::settings& settings);

} // namespace veranda
