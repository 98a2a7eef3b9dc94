#pragma once

#include <map>
#include <string>

namespace veranda::source {

/// Hexadecimal HMAC-SHA-256 (RFC 2104) over the type and the keys and values of a Secret, each length-prefixed: equal exactly when the Secret's
/// bytes are, and of no use for guessing them without `key`.
[[nodiscard]] std::string keyed_digest(const std::string& key, const std::string& type, const std::map<std::string, std::string>& data);

} // namespace veranda::source
