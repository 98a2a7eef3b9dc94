#include "adapters/source/base64.hpp"

#include <cstdint>

namespace veranda::source {
namespace {

int sextet(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

} // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  int digits = 0;
  int padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r')
      continue;
    if (c == '=') {
      if (digits < 2 || ++padding + digits > 4)
        return std::nullopt;
      continue;
    }
    const int value = sextet(c);
    if (value < 0 || padding != 0)
      return std::nullopt;
    group = group << 6U | static_cast<std::uint32_t>(value);
    if (++digits < 4)
      continue;
    for (const unsigned shift : {16U, 8U, 0U})
      out += static_cast<char>(group >> shift & 0xFFU);
    group = 0;
    digits = 0;
  }
  if (digits == 0)
    return padding == 0 ? std::optional{out} : std::nullopt;
  if (digits + padding != 4)
    return std::nullopt;
  group <<= 6U * static_cast<unsigned>(padding);
  out += static_cast<char>(group >> 16U & 0xFFU);
  if (padding == 1)
    out += static_cast<char>(group >> 8U & 0xFFU);
  return out;
}

} // namespace veranda::source
