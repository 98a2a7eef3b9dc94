#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace veranda {

/// An IP address. IPv4 ones are kept as the IPv4-mapped IPv6 address that means the same (`::ffff:10.0.0.1`), so the two can never differ.
struct ip_address {
  std::array<std::uint8_t, 16> bytes{};
  [[nodiscard]] bool is_v4() const noexcept;
  bool operator==(const ip_address&) const = default;
};

/// The IPv4 address of four bytes.
[[nodiscard]] ip_address make_ipv4(const std::array<std::uint8_t, 4>& bytes) noexcept;
/// `10.0.0.1` or `fd00::1`; nothing for anything else: no names, no brackets, no zones, no shorthand such as `127.1`.
[[nodiscard]] std::optional<ip_address> parse_ip(std::string_view text);
[[nodiscard]] std::string to_string(const ip_address& address);

/// All addresses that begin with the same bits. IPv4 and IPv6 ranges never contain addresses of the other family.
struct ip_range {
  ip_address first;
  int length = 128; ///< leading bits that count, of 128; for IPv4 96 and its own prefix length
  [[nodiscard]] bool contains(const ip_address& address) const noexcept;
  bool operator==(const ip_range&) const = default;
};

/// `10.0.0.0/8` or `fd00::/8`: the prefix length must be there, and no bit set behind it. IPv4 ranges are written as IPv4, never as mapped IPv6.
[[nodiscard]] std::optional<ip_range> parse_ip_range(std::string_view text);
[[nodiscard]] std::string to_string(const ip_range& range);
/// The range of that one address.
[[nodiscard]] inline ip_range only(const ip_address& address) { return {address, 128}; }

} // namespace veranda
