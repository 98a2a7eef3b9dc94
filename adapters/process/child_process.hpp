#pragma once

#include "messages/model/failure.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace veranda::process {

/// What is said to a child while it runs; whoever reads its answers adds to it.
struct speech {
  std::string text;   ///< not said yet; what is taken from it is removed
  bool ended = false; ///< nothing follows: once the text is said, the child's standard input is closed
};

/// What to run and how it may behave.
struct child_command {
  std::vector<std::string> arguments;   ///< the first is looked up in PATH
  std::vector<std::string> environment; ///< `NAME=value`, nothing else is inherited
  std::string_view input;               ///< written to its standard input, which is then closed; must outlive the run
  speech* said = nullptr;               ///< instead of `input`, for a child that is talked with; must outlive the run
  std::size_t max_error_bytes = 4'096;  ///< of its standard error, the rest is dropped
};

struct child_result {
  int exit_code = 0; ///< 128 + signal when it was killed by one
  std::string errors;
};

/// Runs a child in a process group of its own to its end; its standard output goes to `sink`. `interrupted` is asked at least ten times a second; when it
/// answers with a failure, or the sink does, the group is killed, the child reaped, and that failure returned. Blocks.
result<child_result> run_child(const child_command& command, const std::function<result<void>(std::string_view)>& sink,
                               const std::function<result<void>()>& interrupted);

} // namespace veranda::process
