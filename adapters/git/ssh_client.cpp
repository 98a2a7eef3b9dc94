#include "adapters/git/ssh_client.hpp"

#include <algorithm>
#include <array>

namespace veranda::git {

namespace {

constexpr std::string_view secret_field = "spec.git.secretRef";
constexpr int command_not_found = 127;
constexpr std::size_t shown_bytes = 200;

/// What holds for every call.
constexpr std::array fixed_options{
  "BatchMode=yes",
  "IdentitiesOnly=yes",
  "IdentityAgent=none",
  "AddKeysToAgent=no",
  "PreferredAuthentications=publickey",
  "PubkeyAuthentication=yes",
  "PasswordAuthentication=no",
  "KbdInteractiveAuthentication=no",
  "HostbasedAuthentication=no",
  "GSSAPIAuthentication=no",
  "GlobalKnownHostsFile=/dev/null",
  "VerifyHostKeyDNS=no",
  "CheckHostIP=no", // a host may have many addresses; its name is what counts
  "UpdateHostKeys=no",
  "CanonicalizeHostname=no",
  "ProxyCommand=none",
  "ProxyJump=none",
  "ControlMaster=no",
  "ControlPath=none",
  "ClearAllForwardings=yes",
  "ForwardAgent=no",
  "ForwardX11=no",
  "Tunnel=no",
  "PermitLocalCommand=no",
  "RequestTTY=no",
  "EscapeChar=none",
  "ConnectionAttempts=1",
  "ServerAliveInterval=15",
  "ServerAliveCountMax=3",
  "LogLevel=ERROR",
  "SetEnv=GIT_PROTOCOL=version=2",
};

std::string seconds_of(std::chrono::milliseconds time) { return std::to_string(std::max<std::int64_t>(1, (time.count() + 999) / 1000)); }

/// Calls `f` with each line of a log.
template <class F>
void each_line(std::string_view log, F f) {
  while (!log.empty()) {
    const auto end = std::min(log.find('\n'), log.size());
    auto line = log.substr(0, end);
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) f(line);
    log.remove_prefix(std::min(end + 1, log.size()));
  }
}

/// A line that begins so (`{user}` is the account) and has that in it.
struct ssh_rule {
  std::string_view start;
  std::string_view part;
  ec what_to_do;
  std::string_view text; ///< `{host}` and `{user}` are put in
  std::string_view field;
};

constexpr std::string_view get_host_key = "; put what `ssh-keyscan {scan}` says into `known_hosts` of the secret, once it is compared with what the host's operator says";

/// The first rule that any line meets tells the cause: consequences (`Host key verification failed.`, `Permission denied`) come behind their causes.
constexpr std::array rules{
  ssh_rule{"Host key for ", " has changed and ", ec::auth_rejected, "the host showed another key than `known_hosts` of the secret has: it has a new one, or somebody poses as it", secret_field},
  ssh_rule{"@       WARNING: REVOKED HOST KEY", "", ec::auth_rejected, "`known_hosts` of the secret marks the host's key as revoked", secret_field},
  ssh_rule{"No ", " host key is known for ", ec::auth_rejected, "`known_hosts` of the secret has no key of {host}", secret_field},
  ssh_rule{"Host key verification failed.", "", ec::auth_rejected, "the host's key could not be verified with `known_hosts` of the secret", secret_field},
  ssh_rule{"Load key ", "", ec::auth_rejected, "the key of the secret cannot be read: it is damaged, or of a kind that this OpenSSH does not know", secret_field},
  ssh_rule{"{user}@", ": Permission denied (", ec::auth_rejected, "the key was refused for the account {user}; let the host accept its public half, or use another account or key", secret_field},
  ssh_rule{"ssh: connect to host ", ": Connection timed out", ec::timed_out, "no connection within the time allowed; check host and port, and the network", "spec.git.repo"},
  ssh_rule{"ssh: connect to host ", "", ec::unreachable, "no connection: refused or no route; check host and port, and that the server runs", "spec.git.repo"},
  ssh_rule{"Connection timed out during banner exchange", "", ec::timed_out, "the server took the connection and said nothing; check that it is an ssh server and not overloaded", {}},
  ssh_rule{"Timeout, server ", " not responding.", ec::timed_out, "the server stopped answering", {}},
  ssh_rule{"kex_exchange_identification: ", "", ec::unavailable, "the server closed the connection before it said who it is; it may limit connections, or is no ssh server", {}},
  ssh_rule{"Unable to negotiate with ", "", ec::unsupported, "the server shares no algorithm with this OpenSSH", {}},
  ssh_rule{"No user exists for uid ", "", ec::unsupported, "ssh cannot run as a user without a name; give the daemon's user a line in /etc/passwd", {}},
  ssh_rule{"command-line: ", "", ec::unsupported, "the installed OpenSSH client is too old", {}},
};

std::string filled(std::string_view text, const git_url& url) {
  std::string out{text};
  const auto put = [&out](std::string_view mark, const std::string& value) {
    for (auto at = out.find(mark); at != std::string::npos; at = out.find(mark, at + value.size())) out.replace(at, mark.size(), value);
  };
  put("{user}", ssh_user(url));
  put("{host}", known_host_name(url));
  put("{scan}", (url.port == 0 ? std::string{} : "-p " + std::to_string(url.port) + " ") + url.host);
  return out;
}

} // namespace

std::vector<std::string> ssh_arguments(const ssh_call& call) {
  std::vector<std::string> out{call.client, "-F", "none", "-E", call.log_file, "-T", "-a", "-x"};
  const auto option = [&out](std::string text) {
    out.emplace_back("-o");
    out.push_back(std::move(text));
  };
  for (const auto* text : fixed_options) option(text);
  option("ConnectTimeout=" + seconds_of(call.connect_timeout));
  option("IdentityFile=" + call.key_file);
  option(call.known_hosts_file.empty() ? "StrictHostKeyChecking=no" : "StrictHostKeyChecking=yes");
  option("UserKnownHostsFile=" + (call.known_hosts_file.empty() ? std::string{"/dev/null"} : call.known_hosts_file));
  option("HostKeyAlias=" + known_host_name(call.url));
  option("User=" + ssh_user(call.url));
  option("Port=" + std::to_string(call.url.port_or_default()));
  out.insert(out.end(), {"--", to_string(call.address), std::string{call.service} + " " + shell_quoted(call.url.remote_path())});
  return out;
}

std::string known_host_name(const git_url& url) { return url.port == 0 ? url.host : "[" + url.host + "]:" + std::to_string(url.port); }

std::string ssh_user(const git_url& url) { return url.user.empty() ? "git" : url.user; }

std::string shell_quoted(std::string_view word) {
  std::string out{"'"};
  for (const char c : word) {
    if (c == '\'' || c == '!') out += std::string{"'\\"} + c + "'";
    else out += c;
  }
  return out + "'";
}

failure from_ssh_log(std::string_view log, const git_url& url, const remote_label& remote) {
  std::string_view first;
  each_line(log, [&](std::string_view line) { first = first.empty() ? line : first; });
  for (const auto& rule : rules) {
    const auto start = filled(rule.start, url);
    bool met = false;
    each_line(log, [&](std::string_view line) { met = met || (line.starts_with(start) && line.substr(start.size()).find(rule.part) != std::string_view::npos); });
    if (!met) continue;
    const bool wants_host_key = rule.part == " host key is known for " || rule.part == " has changed and ";
    return at_remote({rule.what_to_do, filled(std::string{rule.text} + (wants_host_key ? std::string{get_host_key} : std::string{}), url), {}, std::string{rule.field}, {}}, remote);
  }
  if (first.empty()) return at_remote({ec::unavailable, "the ssh connection ended before the command could run: the server closed it, or shares no algorithm with this OpenSSH", {}, {}, {}}, remote);
  return at_remote({ec::unavailable, "the ssh connection failed: " + printable(first, shown_bytes), {}, {}, {}}, remote);
}

failure from_remote_exit(int exit_code, std::string_view errors, const remote_label& remote) {
  if (exit_code == command_not_found)
    return at_remote({ec::unsupported, "the account has no git-upload-pack (exit code 127); install git there", {}, {}, {}}, remote);
  return at_remote(remote_error(errors), remote);
}

} // namespace veranda::git
