#pragma once

#include <algorithm>
#include <string_view>

namespace veranda::logic {

/// Whether `a` is an older version than `b`. Only for two versions of one object on one server, and only when both are plain numbers; else it is not known.
[[nodiscard]] inline bool known_older(std::string_view a, std::string_view b) {
  const auto number = [](std::string_view text) {
    return !text.empty() && text.front() != '0' && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  return number(a) && number(b) && (a.size() != b.size() ? a.size() < b.size() : a < b);
}

} // namespace veranda::logic
