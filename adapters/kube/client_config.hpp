#pragma once

#include "messages/model/failure.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace veranda::kube {

/// PEM text, given inline or as a file that is read at each use. Inline wins.
struct pem_source {
  std::string text;
  std::string file;
  [[nodiscard]] bool empty() const noexcept { return text.empty() && file.empty(); }
  bool operator==(const pem_source&) const = default;
};

/// Where an API server is.
struct server_url {
  std::string scheme; ///< `https` or `http`
  std::string host;   ///< IPv6 addresses without brackets
  std::uint16_t port = 443;
  std::string prefix; ///< path before `/api`, without a slash at its end; usually empty
  [[nodiscard]] bool secure() const noexcept { return scheme == "https"; }
  /// `host:port`, with brackets where needed.
  [[nodiscard]] std::string authority() const;
  /// The whole URL without a slash at its end.
  [[nodiscard]] std::string text() const;
  bool operator==(const server_url&) const = default;
};
/// Parses `https://host:port/prefix`; a missing scheme is `default_scheme`. `invalid_spec` for anything with user info, a query, or another scheme.
result<server_url> parse_server_url(std::string_view text, std::string_view default_scheme = "https");

struct cluster_config {
  server_url server;
  pem_source certificate_authority; ///< empty: the system's roots
  bool insecure_skip_verify = false;
  std::string tls_server_name; ///< verified, and sent, instead of the host; empty: the host
  std::string proxy_url;       ///< `http`, `https` or `socks5`; may hold credentials. Empty: the environment's
  bool disable_compression = false;
  bool operator==(const cluster_config&) const = default;
};

/// A program that prints credentials (`client.authentication.k8s.io`).
struct exec_plugin {
  std::string api_version;
  std::string command; ///< absolute, or a name looked up in PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment; ///< added to ours
  bool provide_cluster_info = false;
  std::string install_hint;
  bool operator==(const exec_plugin&) const = default;
};

/// Headers that ask the server to act as somebody else.
struct impersonation {
  std::string user; ///< empty: nobody
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  bool operator==(const impersonation&) const = default;
};

/// Who we are. Never logged.
struct user_config {
  pem_source client_certificate;
  pem_source client_key;
  std::string token;
  std::string token_file; ///< wins over `token` while it can be read
  std::string username;
  std::string password;
  std::optional<exec_plugin> exec;
  impersonation as;
  bool operator==(const user_config&) const = default;
};

/// Everything needed to speak to one API server as one user.
struct client_config {
  std::string origin; ///< `in-cluster`, or `kubeconfig FILE, context NAME`: for messages
  cluster_config cluster;
  user_config user;
  std::string ns = "default";
  bool operator==(const client_config&) const = default;
};

/// Where to look for a configuration. Everything outside the process comes through the two functions.
struct config_search {
  std::string kubeconfig; ///< this file alone when not empty
  std::string context;    ///< instead of `current-context` when not empty
  std::string service_account_dir = "/var/run/secrets/kubernetes.io/serviceaccount";
  std::function<std::optional<std::string>(const std::string& name)> environment; ///< of the process when not set
  /// Text of a file: `not_found` when there is none. Reads the disk, at most 4 MiB, when not set.
  std::function<result<std::string>(const std::string& path)> read_file;
};

/// Finds the configuration as client-go does: the file that was named, `$KUBECONFIG` (a list), the pod's service account, `~/.kube/config`.
/// `invalid_spec` naming file, context, user and field; `not_found` when there is no configuration at all. Blocks on disk.
result<client_config> load_client_config(const config_search& search);

/// The pod's service account. `not_found` outside a pod.
result<client_config> in_cluster_config(const config_search& search);

} // namespace veranda::kube
