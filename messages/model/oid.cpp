#include "messages/model/oid.hpp"

#include "messages/model/digest.hpp"

namespace veranda {

std::string oid::hex() const { return to_hex(bytes); }

std::optional<oid> oid::parse(std::string_view hex) noexcept {
  oid id;
  if (hex.size() != 2 * id.bytes.size())
    return std::nullopt;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    const int high = hex_value(hex[2 * i]);
    const int low = hex_value(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return std::nullopt;
    id.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return id;
}

} // namespace veranda
