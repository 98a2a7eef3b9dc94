#include "adapters/secrets/proxy_url.hpp"

#include <algorithm>
#include <charconv>

namespace veranda::secrets {
namespace {

bool is_host(std::string_view host) {
  if (host.starts_with('['))
    return host.size() > 3 && host.find_first_not_of("0123456789abcdef:.", 1) == host.size() - 1 && host.ends_with(']');
  return !host.empty() && host.size() <= 253 && host.front() != '-' && host.front() != '.' &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == std::string_view::npos;
}

bool is_port(std::string_view digits) {
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return !digits.empty() && digits.size() <= 5 && error == std::errc{} && end == digits.data() + digits.size() && port >= 1 && port <= 65'535;
}

} // namespace

std::optional<std::string> parse_proxy_url(std::string_view text) {
  std::string url{text};
  std::transform(url.begin(), url.end(), url.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (url.ends_with('/'))
    url.pop_back();
  const auto mark = url.find("://");
  const auto scheme = url.substr(0, mark);
  if (mark == std::string::npos || (scheme != "http" && scheme != "https" && scheme != "socks5" && scheme != "socks5h"))
    return std::nullopt;
  const auto authority = std::string_view{url}.substr(mark + 3);
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || !is_host(authority.substr(0, colon)) || !is_port(authority.substr(colon + 1)))
    return std::nullopt;
  return url;
}

} // namespace veranda::secrets
