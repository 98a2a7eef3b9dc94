#include "config/settings/label_selector.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace veranda::config {

namespace {

constexpr std::size_t longest_name = 63;
constexpr std::size_t longest_prefix = 253;

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

bool is_name(std::string_view s) {
  return !s.empty() && s.size() <= longest_name && is_alnum(s.front()) && is_alnum(s.back()) &&
         std::ranges::all_of(s, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

/// A DNS subdomain.
bool is_prefix(std::string_view s) {
  if (s.size() > longest_prefix) return false;
  for (;;) {
    const auto part = s.substr(0, s.find('.'));
    const bool fits = !part.empty() && is_lower_alnum(part.front()) && is_lower_alnum(part.back()) && std::ranges::all_of(part, [](char c) { return is_lower_alnum(c) || c == '-'; });
    if (!fits || part.size() == s.size()) return fits;
    s.remove_prefix(part.size() + 1);
  }
}

bool is_key(std::string_view s) {
  const auto slash = s.find('/');
  return slash == std::string_view::npos ? is_name(s) : is_prefix(s.substr(0, slash)) && is_name(s.substr(slash + 1));
}

bool is_value(std::string_view s) { return s.empty() || is_name(s); }

bool is_number(std::string_view s) {
  std::int64_t n = 0;
  const auto [end, wrong] = std::from_chars(s.data(), s.data() + s.size(), n);
  return wrong == std::errc{} && end == s.data() + s.size();
}

class reader {
public:
  explicit reader(std::string_view text) : text_(text) {}

  bool read_selector() {
    do
      if (!read_requirement()) return false;
    while (take(","));
    return at_end();
  }

private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
  static bool is_mark(char c) { return std::string_view{"=!(),<>"}.find(c) != std::string_view::npos; }

  bool at_end() {
    while (!text_.empty() && is_space(text_.front())) text_.remove_prefix(1);
    return text_.empty();
  }
  bool take(std::string_view mark) {
    if (at_end() || !text_.starts_with(mark)) return false;
    text_.remove_prefix(mark.size());
    return true;
  }
  /// Empty before a mark and at the end.
  std::string_view take_word() {
    if (at_end()) return {};
    const auto end = std::ranges::find_if(text_, [](char c) { return is_space(c) || is_mark(c); });
    const auto word = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(word.size());
    return word;
  }
  bool ends_here() { return at_end() || text_.front() == ','; }

  bool read_requirement() {
    if (take("!")) return is_key(take_word());
    if (!is_key(take_word())) return false;
    if (ends_here()) return true;
    for (const auto* mark : {"==", "=", "!="})
      if (take(mark)) return is_value(take_word()) && ends_here();
    for (const auto* mark : {">", "<"})
      if (take(mark)) return is_number(take_word());
    const auto word = take_word();
    return (word == "in" || word == "notin") && read_set();
  }
  bool read_set() {
    if (!take("(")) return false;
    do
      if (!is_value(take_word())) return false;
    while (take(","));
    return take(")");
  }

  std::string_view text_;
};

} // namespace

bool is_label_selector(std::string_view text) { return reader{text}.read_selector(); }

} // namespace veranda::config
