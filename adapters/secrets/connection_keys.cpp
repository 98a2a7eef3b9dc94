#include "adapters/secrets/connection_keys.hpp"

#include "adapters/secrets/secret_values.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>

namespace veranda::secrets {
namespace {

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

bool is_host(std::string_view host) {
  if (host.starts_with('['))
    return host.size() > 4 && host.ends_with(']') && host.find_first_not_of("0123456789abcdef:.", 1) == host.size() - 1;
  return !host.empty() && host.size() <= 253 && host.front() != '-' && host.front() != '.' &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

bool is_port(std::string_view digits) {
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return !digits.empty() && digits.size() <= 5 && error == std::errc{} && end == digits.data() + digits.size() && port >= 1 && port <= 65'535;
}

/// The proxy's URL in lower case, without a slash at its end; empty when it is none.
std::string proxy_url(std::string_view text) {
  auto url = lower(text);
  if (url.ends_with('/'))
    url.pop_back();
  const auto mark = url.find("://");
  if (mark == std::string::npos)
    return {};
  const auto scheme = url.substr(0, mark);
  if (scheme != "http" && scheme != "https" && scheme != "socks5" && scheme != "socks5h")
    return {};
  const std::string_view authority = std::string_view{url}.substr(mark + 3);
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || !is_host(authority.substr(0, colon)) || !is_port(authority.substr(colon + 1)))
    return {};
  return url;
}

} // namespace

result<void> read_client_certificate(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const auto certificate = bytes.data.find("tls.crt");
  const auto key = bytes.data.find("tls.key");
  if (certificate == bytes.data.end() && key == bytes.data.end())
    return {};
  if (certificate == bytes.data.end())
    return refused(secret, "must be there when tls.key is", "data.tls.crt");
  if (key == bytes.data.end())
    return refused(secret, "must be there when tls.crt is", "data.tls.key");
  if (!holds(certificate->second, "-----BEGIN CERTIFICATE-----"))
    return refused(secret, "must be a certificate in PEM", "data.tls.crt");
  if (holds(key->second, "ENCRYPTED"))
    return refused(secret, "must not be encrypted", "data.tls.key");
  if (!holds(key->second, "PRIVATE KEY-----"))
    return refused(secret, "must be a private key in PEM", "data.tls.key");
  out.client_certificate_pem = certificate->second;
  out.client_key_pem = key->second;
  return {};
}

result<void> read_proxy(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const bool has_user = bytes.data.contains("proxyUsername") || bytes.data.contains("proxyPassword");
  if (!bytes.data.contains("proxy"))
    return has_user ? result<void>{refused(secret, "must be there when proxyUsername or proxyPassword is", "data.proxy")} : result<void>{};
  const auto text = required(secret, bytes, "proxy");
  if (!text)
    return text.error();
  if (holds(*text, "@"))
    return refused(secret, "must not hold a user; put it into proxyUsername and proxyPassword", "data.proxy");
  out.proxy.url = proxy_url(*text);
  if (out.proxy.url.empty())
    return refused(secret, "must be a URL such as http://proxy.example.org:3128, of scheme http, https, socks5 or socks5h, with a port", "data.proxy");
  if (!has_user)
    return {};
  auto username = required(secret, bytes, "proxyUsername");
  if (!username)
    return username.error();
  auto password = required(secret, bytes, "proxyPassword");
  if (!password)
    return password.error();
  if (holds(*username, ":"))
    return refused(secret, "must not hold a colon", "data.proxyUsername");
  out.proxy.username = *std::move(username);
  out.proxy.password = *std::move(password);
  return {};
}

} // namespace veranda::secrets
