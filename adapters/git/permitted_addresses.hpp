#pragma once

#include "adapters/git/git_remote.hpp"
#include "adapters/git/git_url.hpp"

#include <vector>

namespace veranda::git {

/// The addresses that the URL's host has now and the rules allow, in the order to be tried, for programs that connect themselves: given an address they cannot be
/// led anywhere else. Connects to nothing. Never empty: `invalid_spec` when the rules refuse all of them, else as libcurl fails. Blocks for at most the
/// connect timeout.
result<std::vector<ip_address>> permitted_addresses(const git_url& url, const transport_limits& limits, const cancel_token& cancel);

} // namespace veranda::git
