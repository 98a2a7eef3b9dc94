#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace veranda::source {

/// RFC 4648 base64 with padding; line ends are skipped, as Kubernetes does. Nothing when anything else is wrong with it.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

} // namespace veranda::source
