#include "adapters/source/yaml_scalar.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>

namespace veranda::source {
namespace {

bool any_of(std::string_view text, std::initializer_list<std::string_view> values) {
  return std::find(values.begin(), values.end(), text) != values.end();
}

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Sign, base prefix and digits, all of the text.
std::optional<yaml_scalar> integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+'))
    text.remove_prefix(1);
  int base = 10;
  const auto prefix = [&](std::string_view lower, std::string_view upper) { return text.starts_with(lower) || text.starts_with(upper); };
  if (prefix("0x", "0X"))
    base = 16;
  else if (prefix("0o", "0O"))
    base = 8;
  else if (prefix("0b", "0B"))
    base = 2;
  if (base != 10)
    text.remove_prefix(2);
  else if (text.size() > 1 && text.front() == '0')
    base = 8;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!negative && value > most)
    return value;
  if (value > most + 1 || (value > most && !negative))
    return std::nullopt;
  return negative ? static_cast<std::int64_t>(0U - value) : static_cast<std::int64_t>(value);
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
bool float_shape(std::string_view s) {
  const auto digits = [&] {
    const auto n = static_cast<std::size_t>(std::find_if_not(s.begin(), s.end(), digit) - s.begin());
    s.remove_prefix(n);
    return n;
  };
  const auto skip = [&](std::string_view one_of) {
    if (s.empty() || one_of.find(s.front()) == std::string_view::npos)
      return false;
    s.remove_prefix(1);
    return true;
  };
  skip("+-");
  const std::size_t whole = digits();
  const std::size_t fraction = skip(".") ? digits() : 0;
  if (whole + fraction == 0)
    return false;
  if (skip("eE")) {
    skip("+-");
    if (digits() == 0)
      return false;
  }
  return s.empty();
}

std::optional<double> floating(std::string_view text) {
  if (any_of(text, {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"}))
    return std::numeric_limits<double>::infinity();
  if (any_of(text, {"-.inf", "-.Inf", "-.INF"}))
    return -std::numeric_limits<double>::infinity();
  if (any_of(text, {".nan", ".NaN", ".NAN"}))
    return std::numeric_limits<double>::quiet_NaN();
  if (!float_shape(text))
    return std::nullopt;
  if (text.starts_with('+'))
    text.remove_prefix(1);
  double value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc::result_out_of_range)
    return std::numeric_limits<double>::infinity();
  return value;
}

} // namespace

yaml_scalar resolve_plain(const std::string& text) {
  if (any_of(text, {"", "~", "null", "Null", "NULL"}))
    return std::monostate{};
  if (any_of(text, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"}))
    return true;
  if (any_of(text, {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"}))
    return false;
  if (!digit(text.front()) && std::string_view{"+-."}.find(text.front()) == std::string_view::npos)
    return text;
  std::string digits = text;
  std::erase(digits, '_');
  if (auto value = integer(digits))
    return *value;
  if (auto value = floating(digits))
    return *value;
  return text;
}

} // namespace veranda::source
