#include "actors/logic/discovery/text.hpp"

#include <cstddef>
#include <cstdint>

namespace veranda::logic {

namespace {

bool is_control(unsigned char c) noexcept { return c < 0x20 || c == 0x7f; }

/// Length of the well-formed UTF-8 sequence at the start of `text`; zero when there is none.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length)
    return 0;
  std::uint32_t value = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
    value = value << 6U | (byte(i) & 0x3fU);
  }
  const std::uint32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return value < least || value > 0x10ffff || surrogate ? 0 : length;
}

/// Copies good sequences and hands each bad byte to `replace`.
template <class F>
std::string rewritten(std::string_view text, F replace) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0 || is_control(static_cast<unsigned char>(text[0]))) {
      replace(out, static_cast<unsigned char>(text[0]));
      text.remove_prefix(1);
    } else {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
  }
  return out;
}

} // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

bool has_control(std::string_view text) noexcept {
  for (const char c : text)
    if (is_control(static_cast<unsigned char>(c)))
      return true;
  return false;
}

std::string printable(std::string_view text) {
  return rewritten(text, [](std::string& out, unsigned char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += "\\x";
    out += digits[c >> 4U];
    out += digits[c & 15U];
  });
}

std::string repaired(std::string_view text) {
  return rewritten(text, [](std::string& out, unsigned char) { out += "\xef\xbf\xbd"; });
}

} // namespace veranda::logic
