#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace veranda {

/// A git SHA-1 object id. Zero means "none".
struct oid {
  std::array<std::uint8_t, 20> bytes{};

  [[nodiscard]] bool is_zero() const noexcept { return bytes == std::array<std::uint8_t, 20>{}; }
  [[nodiscard]] std::string hex() const;
  /// Exactly 40 hexadecimal digits, either case; nothing otherwise.
  [[nodiscard]] static std::optional<oid> parse(std::string_view hex) noexcept;

  auto operator<=>(const oid&) const = default;
};

/// Object ids are uniformly distributed already: the first eight bytes are the hash.
struct oid_hash {
  std::size_t operator()(const oid& id) const noexcept {
    std::size_t h = 0;
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
  }
};

} // namespace veranda

template <>
struct std::hash<veranda::oid> : veranda::oid_hash {};
