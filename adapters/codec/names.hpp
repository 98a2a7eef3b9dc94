#pragma once

#include <string>
#include <string_view>

namespace veranda::codec {

/// RFC 1123 label: 1 to 63 lower-case alphanumerics and `-`, first and last alphanumeric.
[[nodiscard]] bool rfc1123_label(std::string_view name) noexcept;
/// RFC 1123 subdomain: 1 to 253 characters, labels of any length joined by `.`.
[[nodiscard]] bool rfc1123_subdomain(std::string_view name) noexcept;
/// Porch's rule for `spec.git.directory`: slashes alone, or no `//` and an RFC 1123 label once all `/` are removed.
[[nodiscard]] bool directory_rule(std::string_view directory);
/// A name that can identify an object at all, right or wrong: 1 to 253 bytes without control characters, blanks and `/`.
[[nodiscard]] bool usable_name(std::string_view name) noexcept;
/// What of a value may be shown in a problem: valid UTF-8, one line, at most `limit` bytes, `...` where something was cut off.
[[nodiscard]] std::string shorten(std::string_view text, std::size_t limit = 80);

} // namespace veranda::codec
