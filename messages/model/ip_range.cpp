#include "messages/model/ip_range.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace veranda {

namespace {

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int mapped_bits = 96;

bool same_bits(const ip_address& a, const ip_address& b, int length) noexcept {
  const auto whole = static_cast<std::ptrdiff_t>(length / 8);
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin()))
    return false;
  const int rest = length % 8;
  if (rest == 0)
    return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  const auto at = static_cast<std::size_t>(whole);
  return ((a.bytes[at] ^ b.bytes[at]) & mask) == 0;
}

ip_address without_tail(ip_address address, int length) noexcept {
  for (int bit = length; bit < 128; ++bit)
    address.bytes[static_cast<std::size_t>(bit / 8)] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  return address;
}

} // namespace

bool ip_address::is_v4() const noexcept { return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin()); }

ip_address make_ipv4(const std::array<std::uint8_t, 4>& bytes) noexcept {
  ip_address out;
  std::copy(mapped_prefix.begin(), mapped_prefix.end(), out.bytes.begin());
  std::copy(bytes.begin(), bytes.end(), out.bytes.begin() + mapped_prefix.size());
  return out;
}

std::optional<ip_address> parse_ip(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos)
    return std::nullopt;
  const std::string terminated{text};
  std::array<std::uint8_t, 4> four{};
  if (inet_pton(AF_INET, terminated.c_str(), four.data()) == 1)
    return make_ipv4(four);
  ip_address six;
  if (inet_pton(AF_INET6, terminated.c_str(), six.bytes.data()) == 1)
    return six;
  return std::nullopt;
}

std::string to_string(const ip_address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.is_v4())
    inet_ntop(AF_INET, address.bytes.data() + mapped_prefix.size(), text.data(), text.size());
  else
    inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

bool ip_range::contains(const ip_address& address) const noexcept { return first.is_v4() == address.is_v4() && same_bits(first, address, length); }

std::optional<ip_range> parse_ip_range(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return std::nullopt;
  const auto first = parse_ip(text.substr(0, slash));
  const auto digits = text.substr(slash + 1);
  int length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  const bool number = !digits.empty() && digits.size() <= 3 && error == std::errc{} && end == digits.data() + digits.size() && length >= 0;
  if (!first || !number || (digits.size() > 1 && digits.front() == '0'))
    return std::nullopt;
  if (first->is_v4()) {
    if (text.find(':') != std::string_view::npos)
      return std::nullopt;
    length += mapped_bits;
  }
  if (length > 128 || without_tail(*first, length) != *first)
    return std::nullopt;
  return ip_range{*first, length};
}

std::string to_string(const ip_range& range) {
  return to_string(range.first) + "/" + std::to_string(range.first.is_v4() ? range.length - mapped_bits : range.length);
}

} // namespace veranda
