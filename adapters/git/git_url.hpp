#pragma once

#include "messages/model/failure.hpp"

#include <string>
#include <string_view>

namespace veranda::git {

/// A remote URL in its parts. For local paths only `scheme` (`file`) and `path` are set.
struct git_url {
  std::string scheme; ///< lower case: https, http, ssh, git, file
  std::string user;   ///< ssh only
  std::string host;   ///< lower case, without brackets
  int port = 0;       ///< 0: the scheme's default
  std::string path;   ///< starts with `/` when not empty, no trailing slash; decoded for local paths only. Over ssh `/~/` is the account's home, as `host:path` means it
  [[nodiscard]] std::string text() const;
  /// Host, with its port when not the default one; the path for local ones. What error texts call the remote.
  [[nodiscard]] std::string label() const;
  [[nodiscard]] int port_or_default() const noexcept;
  /// The path as the program at the other end is given it (ssh and git only): decoded, without `/~/`.
  [[nodiscard]] std::string remote_path() const;
  [[nodiscard]] bool same_origin(const git_url& other) const noexcept { return scheme == other.scheme && host == other.host && port == other.port; }
};

/// Takes a URL apart, checking every rule of `canonical_url`.
result<git_url> parse_git_url(std::string_view text);

} // namespace veranda::git
