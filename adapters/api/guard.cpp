#include "adapters/api/guard.hpp"

#include "messages/model/digest.hpp"

#include <boost/asio/ip/address.hpp>
#include <openssl/crypto.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace veranda::api {
namespace {

std::string lower(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::optional<boost::asio::ip::address> parse_address(std::string_view host) {
  boost::system::error_code error;
  auto address = boost::asio::ip::make_address(std::string{host}, error);
  if (error)
    return std::nullopt;
  return address;
}

} // namespace

std::string host_of_authority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    return end == std::string_view::npos ? std::string{} : lower(authority.substr(1, end - 1));
  }
  const auto host = authority.substr(0, authority.find(':'));
  return lower(host.ends_with('.') ? host.substr(0, host.size() - 1) : host);
}

bool is_loopback(std::string_view host) {
  if (host == "localhost")
    return true;
  const auto address = parse_address(host);
  return address && address->is_loopback();
}

guard::guard(std::string listen_address, std::vector<std::string> names, std::string token)
    : address_(lower(listen_address)), token_(std::move(token)) {
  for (const auto& n : names)
    names_.push_back(lower(n));
}

bool guard::host_allowed(std::string_view host) const {
  const auto name = host_of_authority(host);
  if (name.empty())
    return false;
  if (name == address_ || is_loopback(name) || std::find(names_.begin(), names_.end(), name) != names_.end())
    return true;
  const auto own = parse_address(address_);
  return own && own->is_unspecified() && parse_address(name).has_value();
}

bool guard::origin_allowed(std::string_view origin) const {
  if (origin.empty())
    return true;
  const auto scheme_end = origin.find("://");
  return scheme_end != std::string_view::npos && host_allowed(origin.substr(scheme_end + 3));
}

bool guard::authorized(std::string_view authorization) const {
  constexpr std::string_view scheme = "bearer ";
  if (token_.empty() || authorization.size() <= scheme.size() || lower(authorization.substr(0, scheme.size())) != scheme)
    return false;
  const auto given = sha256(authorization.substr(scheme.size())); // digests: lengths do not matter
  const auto expected = sha256(token_);
  return CRYPTO_memcmp(given.data(), expected.data(), given.size()) == 0;
}

} // namespace veranda::api
