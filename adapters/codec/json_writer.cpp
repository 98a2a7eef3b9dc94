#include "adapters/codec/json_writer.hpp"

#include <array>
#include <charconv>
#include <simdjson.h>

namespace veranda::codec {
namespace {

/// Length of the valid UTF-8 sequence at the start of `s`; 0 when there is none (overlong forms, surrogates and values above U+10FFFF included).
std::size_t sequence_length(std::string_view s) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto tail = [&](std::size_t i) { return i < s.size() && (byte(i) & 0xC0U) == 0x80U; };
  const unsigned b = byte(0);
  if (b < 0x80U)
    return 1;
  if (b >= 0xC2U && b <= 0xDFU)
    return tail(1) ? 2 : 0;
  if (b >= 0xE0U && b <= 0xEFU) {
    if (!tail(1) || !tail(2) || (b == 0xE0U && byte(1) < 0xA0U) || (b == 0xEDU && byte(1) > 0x9FU))
      return 0;
    return 3;
  }
  if (b >= 0xF0U && b <= 0xF4U) {
    if (!tail(1) || !tail(2) || !tail(3) || (b == 0xF0U && byte(1) < 0x90U) || (b == 0xF4U && byte(1) > 0x8FU))
      return 0;
    return 4;
  }
  return 0;
}

} // namespace

bool valid_utf8(std::string_view text) noexcept { return text.empty() || simdjson::validate_utf8(text.data(), text.size()); }

std::string to_valid_utf8(std::string_view text) {
  if (valid_utf8(text))
    return std::string{text};
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    const std::size_t n = sequence_length(text);
    if (n == 0)
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(0, n);
    text.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

void json_writer::separate() {
  if (!first_)
    out_ += ',';
  first_ = false;
}

json_writer& json_writer::open(char bracket) {
  separate();
  out_ += bracket;
  first_ = true;
  return *this;
}

json_writer& json_writer::close(char bracket) {
  out_ += bracket;
  first_ = false;
  return *this;
}

json_writer& json_writer::key(std::string_view name) {
  separate();
  quote(name);
  out_ += ':';
  first_ = true; // no comma before the value
  return *this;
}

void json_writer::quote(std::string_view value) {
  if (!valid_utf8(value))
    return quote(to_valid_utf8(value));
  static constexpr std::string_view hex = "0123456789abcdef";
  out_ += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if (c >= 0x20 && c != '"' && c != '\\')
      continue;
    out_ += value.substr(done, i - done);
    done = i + 1;
    switch (c) {
    case '"': out_ += "\\\""; break;
    case '\\': out_ += "\\\\"; break;
    case '\n': out_ += "\\n"; break;
    case '\r': out_ += "\\r"; break;
    case '\t': out_ += "\\t"; break;
    default:
      out_ += "\\u00";
      out_ += hex[c >> 4U];
      out_ += hex[c & 15U];
    }
  }
  out_ += value.substr(done);
  out_ += '"';
}

json_writer& json_writer::text(std::string_view value) {
  separate();
  quote(value);
  return *this;
}

json_writer& json_writer::number(std::int64_t value) {
  separate();
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out_.append(digits.data(), end);
  return *this;
}

json_writer& json_writer::boolean(bool value) { return raw(value ? "true" : "false"); }

json_writer& json_writer::raw(std::string_view json) {
  separate();
  out_ += json;
  return *this;
}

json_writer& json_writer::member(std::string_view name, std::string_view value) { return value.empty() ? *this : key(name).text(value); }

json_writer& json_writer::member(std::string_view name, std::int64_t value) { return value == 0 ? *this : key(name).number(value); }

} // namespace veranda::codec
