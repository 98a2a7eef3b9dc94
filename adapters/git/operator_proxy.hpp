#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace veranda::git {

/// Looks a variable of the environment up; null when it is not set.
using environment_lookup = std::function<const char*(const char* name)>;

/// The proxy that the environment names for a URL of that scheme (`http`, `https`) and host (without brackets), empty for none. As libcurl has it:
/// `http_proxy`, `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY`, unless `no_proxy` or `NO_PROXY` names the host: `*`, names with all below them, addresses, and
/// ranges of addresses, separated by commas or blanks. It is decided here, not by libcurl, because what goes through a proxy is not checked against
/// the address rules: the two must never disagree.
[[nodiscard]] std::string operator_proxy(std::string_view scheme, std::string_view host, const environment_lookup& lookup);

} // namespace veranda::git
