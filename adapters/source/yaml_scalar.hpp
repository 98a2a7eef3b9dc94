#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace veranda::source {

/// What a scalar is in JSON: null, boolean, integer, number or text.
using yaml_scalar = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string>;

/// A plain (unquoted) YAML scalar as kubectl reads it: `yes`, `on` and their like are booleans, `0o17` and `017` are octal, `_` may group digits.
/// Timestamps are text. A float may come out infinite or not a number, which JSON cannot hold. Pure.
[[nodiscard]] yaml_scalar resolve_plain(const std::string& text);

} // namespace veranda::source
