#pragma once

#include "adapters/git/error_map.hpp"
#include "adapters/git/git_remote.hpp"
#include "adapters/git/git_url.hpp"

#include <curl/curl.h>

namespace veranda::git {

/// Where a connection for `url` goes, as a URL that libcurl knows: its host and port, whatever is spoken there.
[[nodiscard]] git_url connection_target(const git_url& url);
/// Prepares a handle to resolve and connect to `target`, and to do no more, with the deadlines of the limits. `cancel` must outlive the transfer.
void prepare_connection(CURL* easy, const git_url& target, const transport_limits& limits, const cancel_token& cancel);
/// Why such a handle, which ended with `code`, has no connection.
[[nodiscard]] failure connection_failure(CURLcode code, const remote_label& label, const cancel_token& cancel);

} // namespace veranda::git
