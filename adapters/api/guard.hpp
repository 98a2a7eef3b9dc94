#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace veranda::api {

/// Decides who is let in, from headers alone. Immutable, thread safe.
class guard {
public:
  /// `listen_address` as configured; `names`: further names that clients may use for this listener.
  guard(std::string listen_address, std::vector<std::string> names, std::string token);

  /// True when a Host header names this listener: its address, `localhost`, a loopback address or a given name. With a wildcard address any literal IP
  /// address is this listener's. Names are what DNS rebinding needs, so unknown ones are refused.
  [[nodiscard]] bool host_allowed(std::string_view host) const;
  /// True when there is no Origin, or it is this listener's own.
  [[nodiscard]] bool origin_allowed(std::string_view origin) const;
  /// True for `Bearer TOKEN` with the right token; takes the same time for every wrong one.
  [[nodiscard]] bool authorized(std::string_view authorization) const;

private:
  std::string address_;
  std::vector<std::string> names_;
  std::string token_;
};

/// The host of `host[:port]`, lower case, brackets of IPv6 removed; empty when malformed.
[[nodiscard]] std::string host_of_authority(std::string_view authority);
/// True for `localhost`, 127.0.0.0/8 and ::1.
[[nodiscard]] bool is_loopback(std::string_view host);

} // namespace veranda::api
