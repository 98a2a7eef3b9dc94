#pragma once

#include <string>
#include <utility>
#include <vector>

namespace veranda {

/// What a remote is opened with. Never logged, never in a dump, never written to a store.
struct credentials {
  std::string username;
  std::string password;
  std::string bearer_token;
  std::string ca_bundle_pem; ///< replaces the system's roots when not empty
  [[nodiscard]] bool anonymous() const noexcept { return username.empty() && password.empty() && bearer_token.empty(); }
  bool operator==(const credentials&) const = default;
};

/// Where a remote is and how it is opened.
struct remote_endpoint {
  std::string url; ///< canonical, without userinfo
  credentials auth;
  bool operator==(const remote_endpoint&) const = default;
};

} // namespace veranda
