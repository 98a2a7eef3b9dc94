#pragma once

#include <string>
#include <string_view>

namespace veranda::process {

/// Absolute path of the first program of that name in the directories of `search_path` (as PATH has them; relative ones are left out); empty when there is none.
[[nodiscard]] std::string find_program(std::string_view name, std::string_view search_path);
/// The same with this process's PATH.
[[nodiscard]] std::string find_program(std::string_view name);

} // namespace veranda::process
