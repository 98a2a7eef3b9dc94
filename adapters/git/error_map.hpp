#pragma once

#include "messages/model/failure.hpp"

#include <string>
#include <string_view>

namespace veranda::git {

/// What a remote is called in an error text, and how it was opened.
struct remote_label {
  std::string host; ///< host, with its port when not the default one; or the local path
  bool authenticated = false;
};

/// A libcurl result code other than success.
[[nodiscard]] failure from_curl(int code, const remote_label& remote);
/// An HTTP status other than 200.
[[nodiscard]] failure from_http_status(long status, const remote_label& remote, std::optional<std::chrono::milliseconds> retry_after);
/// An answer with status 200 that is not git's: `content_type` and the first bytes of the body say what it is.
[[nodiscard]] failure from_foreign_answer(std::string_view content_type, std::string_view head, const remote_label& remote);
/// A message of the other side's git (`ERR` line, side band 3). The text itself is not repeated: it is somebody else's.
[[nodiscard]] failure remote_error(std::string_view text);
/// A `git upload-pack` or `git receive-pack` that ended with an error; `text` is the first line of its error output.
[[nodiscard]] failure from_local_git(std::string_view text, const remote_label& remote);

/// The line of git's error output that says why.
[[nodiscard]] std::string_view fatal_line(std::string_view errors) noexcept;

/// `text` with everything but printable ASCII replaced, cut to `limit` bytes.
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit);
/// A user agent as git's `agent` capability takes it: one word of printable ASCII.
[[nodiscard]] std::string agent_of(std::string_view user_agent);
/// Puts the remote's name before the text of a failure that does not have it yet.
[[nodiscard]] failure at_remote(failure f, const remote_label& remote);

} // namespace veranda::git
