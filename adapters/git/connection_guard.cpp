#include "adapters/git/connection_guard.hpp"

#include "adapters/git/operator_proxy.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>

namespace veranda::git {

namespace {

constexpr std::string_view secret_field = "spec.git.secretRef";

std::optional<ip_address> literal_host(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed{curl_url(), &curl_url_cleanup};
  char* text = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK || curl_url_get(parsed.get(), CURLUPART_HOST, &text, 0) != CURLUE_OK) return std::nullopt;
  std::string_view host{text};
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const auto address = parse_ip(host);
  curl_free(text);
  return address;
}

} // namespace

std::optional<std::string> literal_refusal(const git_url& url, const address_rules& rules) {
  const auto address = literal_host(url.text());
  auto why = address ? rules.refusal(*address) : std::nullopt;
  return why ? std::optional{"its address " + to_string(*address) + " " + *why} : std::nullopt;
}

std::optional<ip_address> address_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, bytes.size());
    return make_ipv4(bytes);
  }
  if (address.sa_family != AF_INET6) return std::nullopt;
  ip_address out;
  std::memcpy(out.bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, out.bytes.size());
  return out;
}

failure refused_at(const std::string& host, const std::string& why) { return {ec::invalid_spec, host + ": " + why, {}, "spec.git.repo", {}}; }

/// The proxy is always set, also to none, so that libcurl never looks into the environment itself.
void connection_guard::prepare(CURL* easy, const git_url& url, const std::string& redirected_by, const proxy_setting& proxy, const transport_limits& limits) {
  const auto chosen =
    proxy.url.empty() ? operator_proxy(url.scheme, url.host, [](const char* name) -> const char* { return std::getenv(name); }) : proxy.url;
  route_ = chosen.empty() ? route::direct : proxy.url.empty() ? route::operators_proxy : route::secrets_proxy;
  rules_ = &limits.addresses;
  redirected_by_ = redirected_by;
  proxy_ = route_ == route::secrets_proxy ? "the proxy of the secret (its key proxy)" : "the proxy of the environment";
  refused_.clear();
  tried_ = false;
  curl_easy_setopt(easy, CURLOPT_PROXY, chosen.c_str());
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (route_ == route::secrets_proxy && !proxy.username.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy.username.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy.password.c_str());
    // libcurl would lend the tunnel to others who name the same proxy and another user.
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &connection_guard::on_open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, &connection_guard::on_request);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, this);
}

std::optional<std::string> connection_guard::judge(const std::optional<ip_address>& to) const {
  if (route_ == route::operators_proxy) return std::nullopt;
  if (!to) return "its address is of a kind that is not known";
  const auto why = rules_->refusal(*to);
  if (!why) return std::nullopt;
  if (route_ == route::secrets_proxy) return "its address is one that is refused; --allow-cidr makes exceptions"; // which one only the Secret tells
  const bool redirected = route_ == route::direct && !redirected_by_.empty();
  return "its address " + to_string(*to) + (redirected ? ", to which " + redirected_by_ + " redirects, " : " ") + *why;
}

curl_socket_t connection_guard::on_open_socket(void* self, curlsocktype, curl_sockaddr* address) {
  auto& guard = *static_cast<connection_guard*>(self);
  if (auto why = guard.judge(address_of(address->addr))) {
    if (guard.refused_.empty()) guard.refused_ = *std::move(why);
    return CURL_SOCKET_BAD;
  }
  const int made = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  guard.tried_ |= made >= 0;
  return made;
}

/// A connection that was kept from before is held against the rules of today.
int connection_guard::on_request(void* self, char* remote_address, char*, int, int) {
  auto& guard = *static_cast<connection_guard*>(self);
  auto why = guard.judge(parse_ip(remote_address));
  if (!why) return CURL_PREREQFUNC_OK;
  guard.refused_ = *std::move(why);
  guard.tried_ = false;
  return CURL_PREREQFUNC_ABORT;
}

std::optional<failure> connection_guard::explain(CURL* easy, CURLcode code, const remote_label& remote) const {
  const bool proxied = route_ != route::direct;
  if ((code == CURLE_COULDNT_CONNECT || code == CURLE_ABORTED_BY_CALLBACK) && !refused_.empty() && !tried_) {
    if (!proxied) return refused_at(remote.host, refused_);
    return failure{ec::invalid_spec, remote.host + ": " + proxy_ + ": " + refused_, {}, std::string{secret_field}, {}};
  }
  if (!proxied) return std::nullopt;
  const auto because = [&](ec what_to_do, const std::string& text) {
    return failure{what_to_do, remote.host + ": " + proxy_ + " " + text, {}, route_ == route::secrets_proxy ? std::string{secret_field} : std::string{}, {}};
  };
  long answered = 0; // to CONNECT
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &answered);
  const auto status = " (HTTP " + std::to_string(answered) + ")";
  if (code == CURLE_COULDNT_RESOLVE_PROXY) return because(ec::unreachable, "has a name that cannot be resolved");
  if (code == CURLE_COULDNT_CONNECT && answered == 0) return because(ec::unreachable, "cannot be reached: refused or no route");
  if (code == CURLE_OK || answered < 300) return std::nullopt;
  if (answered == 407) return because(ec::auth_rejected, "wants other credentials" + status);
  if (answered == 403) return because(ec::auth_rejected, "does not allow connections to this host" + status);
  return because(ec::unavailable, "cannot connect to this host" + status);
}

} // namespace veranda::git
