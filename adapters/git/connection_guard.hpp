#pragma once

#include "adapters/git/error_map.hpp"
#include "adapters/git/git_remote.hpp"
#include "adapters/git/git_url.hpp"

#include <curl/curl.h>

namespace veranda::git {

/// Why a URL is refused whose host is an address, in whatever way it is written (`127.1`, `0x7f000001`), in words that follow the host's name; nothing for
/// names, and for addresses that are allowed.
[[nodiscard]] std::optional<std::string> literal_refusal(const git_url& url, const address_rules& rules);
/// An address as the system has it; nothing for other families than IPv4 and IPv6.
[[nodiscard]] std::optional<ip_address> address_of(const sockaddr& address);
/// The failure of a connection that was not made; `why` as above.
[[nodiscard]] failure refused_at(const std::string& host, const std::string& why);

/// Which way a transfer goes: directly, through the proxy of the Secret, or through the one that the operator's environment names. Each address is held
/// against the rules when a connection to it is about to be made or used, so that neither a name nor a connection that was kept can lead around them. Only the operator's own proxy is not judged; what lies
/// behind a proxy cannot be seen from here.
class connection_guard {
public:
  /// Sets the route of a handle; `redirected_by`: the host that led to `url`, if any. The guard and `limits` must outlive the transfer.
  void prepare(CURL* easy, const git_url& url, const std::string& redirected_by, const proxy_setting& proxy, const transport_limits& limits);
  /// Through a proxy that the Secret names.
  [[nodiscard]] bool own_way() const noexcept { return route_ == route::secrets_proxy; }
  /// What the guard or a proxy did to the transfer that ended with `code`; nothing when the cause is elsewhere.
  [[nodiscard]] std::optional<failure> explain(CURL* easy, CURLcode code, const remote_label& remote) const;

private:
  static curl_socket_t on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address);
  static int on_request(void* self, char* remote_address, char* own_address, int remote_port, int own_port);
  [[nodiscard]] std::optional<std::string> judge(const std::optional<ip_address>& to) const;
  enum class route : std::uint8_t { direct, secrets_proxy, operators_proxy };

  route route_ = route::direct;
  const address_rules* rules_ = nullptr;
  std::string redirected_by_;
  std::string proxy_;   ///< what it is called in texts; where it is belongs to the Secret
  std::string refused_; ///< the first address that was refused, and why
  bool tried_ = false;  ///< another one was tried
};

} // namespace veranda::git
