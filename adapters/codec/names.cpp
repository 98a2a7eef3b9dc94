#include "adapters/codec/names.hpp"

#include "adapters/codec/json_writer.hpp"

#include <algorithm>

namespace veranda::codec {
namespace {

bool lower_alnum(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// A label but for its length.
bool label_shape(std::string_view s) noexcept {
  return !s.empty() && lower_alnum(s.front()) && lower_alnum(s.back()) &&
         std::all_of(s.begin(), s.end(), [](char c) { return lower_alnum(c) || c == '-'; });
}

} // namespace

bool rfc1123_label(std::string_view name) noexcept { return name.size() <= 63 && label_shape(name); }

bool rfc1123_subdomain(std::string_view name) noexcept {
  if (name.size() > 253)
    return false;
  for (;;) {
    const auto dot = name.find('.');
    if (!label_shape(name.substr(0, dot)))
      return false;
    if (dot == std::string_view::npos)
      return true;
    name.remove_prefix(dot + 1);
  }
}

bool directory_rule(std::string_view directory) {
  if (directory.find_first_not_of('/') == std::string_view::npos)
    return true;
  std::string rest{directory};
  std::erase(rest, '/');
  return directory.find("//") == std::string_view::npos && rfc1123_label(rest);
}

bool usable_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 253 &&
         std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/'; });
}

std::string shorten(std::string_view text, std::size_t limit) {
  const bool cut = text.size() > limit;
  if (cut) {
    std::size_t end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
      --end; // never inside a character
    text = text.substr(0, end);
  }
  std::string out = to_valid_utf8(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  if (cut)
    out += "...";
  return out;
}

} // namespace veranda::codec
