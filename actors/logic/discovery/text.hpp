#pragma once

#include <string>
#include <string_view>

namespace veranda::logic {

/// Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// True when the text holds a C0 control character (NUL among them) or DEL.
[[nodiscard]] bool has_control(std::string_view text) noexcept;

/// The text with every byte that is not printable UTF-8 written as `\xNN`: for reports about hostile names.
[[nodiscard]] std::string printable(std::string_view text);

/// The text with every ill-formed byte and every control character replaced by U+FFFD: for people's names and addresses.
[[nodiscard]] std::string repaired(std::string_view text);

} // namespace veranda::logic
