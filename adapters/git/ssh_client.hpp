#pragma once

#include "adapters/git/error_map.hpp"
#include "adapters/git/git_url.hpp"
#include "adapters/git/ref_listing.hpp"
#include "messages/model/ip_range.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace veranda::git {

// How the OpenSSH client is called, and what it means when it fails. Pure.

/// One call of the client.
struct ssh_call {
  std::string client; ///< absolute path
  ip_address address; ///< where it connects
  git_url url;
  std::string key_file;
  std::string known_hosts_file; ///< empty: any host key is accepted
  std::string log_file;         ///< what the client itself says goes there, what the other side says to its standard error
  std::chrono::milliseconds connect_timeout{10'000};
  std::string_view service = upload_pack_service;
};

/// Its arguments, the program first. Nothing of the user's or the machine's configuration is used, no agent, no question is asked, nothing is forwarded, and only this key is
/// tried.
[[nodiscard]] std::vector<std::string> ssh_arguments(const ssh_call& call);

/// A host as `known_hosts` names it: with its port in brackets when that is not 22.
[[nodiscard]] std::string known_host_name(const git_url& url);
/// The account: that of the URL, else `git`.
[[nodiscard]] std::string ssh_user(const git_url& url);
/// A word for the shell of the other side, as git quotes it.
[[nodiscard]] std::string shell_quoted(std::string_view word);

/// Why the client ended with 255; `log` is what it said itself (`LogLevel=ERROR`). OpenSSH has no exit code for this: what is looked at is how its lines begin, which the
/// other side has no part in.
[[nodiscard]] failure from_ssh_log(std::string_view log, const git_url& url, const remote_label& remote);
/// Why the command at the other side ended with another code than 0; `errors` is what it wrote to its standard error.
[[nodiscard]] failure from_remote_exit(int exit_code, std::string_view errors, const remote_label& remote);

} // namespace veranda::git
