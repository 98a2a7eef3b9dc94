#pragma once

#include "messages/model/ip_range.hpp"

#include <optional>
#include <string>
#include <vector>

namespace veranda::git {

/// Which addresses remotes may be at. Of all ranges that hold an address the longest decides; of equal ones a denied beats an allowed, and both beat what is
/// refused by default. What none holds is allowed. An IPv6 address that carries an IPv4 one (NAT64, 6to4, IPv4-compatible) is judged as both.
struct address_rules {
  std::vector<ip_range> allowed;
  std::vector<ip_range> denied;
  /// Whether what is this machine's own, or a cloud's metadata, is refused by default: loopback, link-local, unspecified, multicast, broadcast and the
  /// metadata addresses of clouds.
  bool guarded = false;

  /// Why connections to the address are refused, and what would allow them: `is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it`. Nothing
  /// when they are not.
  [[nodiscard]] std::optional<std::string> refusal(const ip_address& address) const;
};

} // namespace veranda::git
