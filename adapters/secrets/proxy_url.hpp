#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace veranda::secrets {

/// The URL of a proxy in lower case: scheme http, https, socks5 or socks5h, host and port, a slash behind it at most. Nothing for anything else.
[[nodiscard]] std::optional<std::string> parse_proxy_url(std::string_view text);

} // namespace veranda::secrets
