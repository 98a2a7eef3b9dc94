#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace veranda::cli {

/// What a shell is told when a word is to be completed. One of `:files`, `:directories` and `:names KIND` may be the only line: it is for the shell to find them.
/// All else are words to choose from. `words` are those of the line behind the program's name; the last one is to be completed, and may be empty. A `=` that a
/// shell cuts off counts as a word of its own. Derived from the parser's definitions, so that it cannot lag behind them.
[[nodiscard]] std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& words);

/// A script that lets a shell ask; empty for a shell that is not known.
[[nodiscard]] std::string completion_script(const std::string& shell);

} // namespace veranda::cli
