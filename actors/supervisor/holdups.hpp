#pragma once

#include "actors/supervisor/supervisor.hpp"

namespace veranda {

// Objects that are being deleted, and wait for what somebody else has to do.

/// Says it in the log, to `held_up`, and in the Ready condition, from which the API server's event follows: once for each cause.
void say_holdup(supervisor_pointer self, const std::string& uid, const failure& why);
/// It is over: nothing more is said of it.
void end_holdup(supervisor_pointer self, const std::string& uid);

} // namespace veranda
