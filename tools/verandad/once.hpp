#pragma once

#include "actors/system/system.hpp"

namespace veranda {

/// Whether progress is shown: standard error is a terminal that can erase a line.
[[nodiscard]] bool shows_progress();

/// `--once`: waits for one sync of every repository that is not suspended, showing progress on a terminal, and prints a table. Answers the exit status: 0 all
/// ready, 1 any error (a repository that is not ready, or a broken manifest), 130 when `give_up` ended the wait.
int run_once(running_system& system, const std::function<bool()>& give_up);

} // namespace veranda
