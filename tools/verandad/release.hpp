#pragma once

#include <string>
#include <vector>

namespace veranda {

/// `verandad release`: takes what a daemon put on the objects of an API server away again, for an uninstall. `arguments` are those behind the word. A line for each outcome
/// on standard output; answers the exit status: 0 all is done, 1 something could not be, 2 bad flags or no usable configuration. Blocks until all is done.
int run_release(std::vector<std::string> arguments, const std::vector<std::string>& environment);

} // namespace veranda
