#pragma once

#include <string>
#include <utility>
#include <vector>

namespace veranda {

/// The proxy that a Secret names.
struct proxy_setting {
  std::string url{}; ///< scheme, host and port, without userinfo; empty for none
  std::string username{};
  std::string password{};
  bool operator==(const proxy_setting&) const = default;
};

/// What a remote is opened with. Never logged, never in a dump, never written to a store.
struct credentials {
  std::string username{};
  std::string password{};
  std::string bearer_token{};
  std::string ca_bundle_pem{};          ///< replaces the system's roots when not empty
  std::string client_certificate_pem{}; ///< with the certificates between it and its root
  std::string client_key_pem{};         ///< not encrypted
  std::string ssh_private_key{};        ///< as OpenSSH takes it, not encrypted
  std::string ssh_known_hosts{};        ///< lines of a `known_hosts` file
  proxy_setting proxy{};
  /// Nothing here says who asks over http. A proxy's user is the proxy's affair.
  [[nodiscard]] bool anonymous() const noexcept { return username.empty() && password.empty() && bearer_token.empty() && client_certificate_pem.empty(); }
  bool operator==(const credentials&) const = default;
};

/// Where a remote is and how it is opened.
struct remote_endpoint {
  std::string url; ///< canonical, without userinfo
  credentials auth;
  bool operator==(const remote_endpoint&) const = default;
};

} // namespace veranda
