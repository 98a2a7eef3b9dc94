#include "messages/model/time.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>

namespace veranda {

namespace {

using namespace std::chrono;

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Reads a text from the left; every step fails without moving when the text goes on differently.
class reader {
public:
  explicit reader(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }
  [[nodiscard]] bool at_digit() const noexcept { return !rest_.empty() && is_digit(rest_.front()); }

  bool skip(char c) noexcept {
    if (rest_.empty() || rest_.front() != c)
      return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool skip(std::string_view s) noexcept {
    if (!rest_.starts_with(s))
      return false;
    rest_.remove_prefix(s.size());
    return true;
  }
  /// The next digit; only after `at_digit`.
  int digit() noexcept {
    const int d = rest_.front() - '0';
    rest_.remove_prefix(1);
    return d;
  }
  /// Exactly `width` digits with a value from `low` to `high`.
  std::optional<int> number(int width, int low, int high) noexcept {
    int value = 0;
    for (int i = 0; i < width; ++i) {
      if (!at_digit())
        return std::nullopt;
      value = value * 10 + digit();
    }
    return value < low || value > high ? std::nullopt : std::optional{value};
  }

private:
  std::string_view rest_;
};

/// `.123` as nanoseconds, digits beyond the ninth are cut; zero when there is no fraction.
std::optional<nanoseconds> read_fraction(reader& in) {
  if (!in.skip('.'))
    return nanoseconds{0};
  if (!in.at_digit())
    return std::nullopt;
  std::int64_t place = 100'000'000;
  std::int64_t value = 0;
  for (; in.at_digit(); place /= 10)
    value += in.digit() * place;
  return nanoseconds{value};
}

/// `Z`, `+02:00`: what local time is ahead of UTC.
std::optional<seconds> read_offset(reader& in) {
  if (in.skip('Z'))
    return seconds{0};
  const bool behind = in.skip('-');
  if (!behind && !in.skip('+'))
    return std::nullopt;
  const auto h = in.number(2, 0, 23);
  if (!h || !in.skip(':'))
    return std::nullopt;
  const auto m = in.number(2, 0, 59);
  if (!m)
    return std::nullopt;
  const seconds offset = hours{*h} + minutes{*m};
  return behind ? -offset : offset;
}

/// Nothing when the instant is outside what `wall_time` can hold (about 1678 to 2262).
std::optional<wall_time> to_wall(sys_seconds s, nanoseconds fraction) {
  constexpr auto lowest = ceil<seconds>(wall_time::min());
  constexpr auto highest = floor<seconds>(wall_time::max()) - seconds{1};
  if (s < lowest || s > highest)
    return std::nullopt;
  return wall_time{s} + duration_cast<wall_time::duration>(fraction);
}

struct unit {
  std::string_view name;
  std::uint64_t ns;
};

/// Longer names before those that they begin with.
constexpr std::array<unit, 8> go_units{{{"ns", 1},
                                        {"us", 1'000},
                                        {"\u00b5s", 1'000},
                                        {"\u03bcs", 1'000},
                                        {"ms", 1'000'000},
                                        {"s", 1'000'000'000},
                                        {"m", 60'000'000'000},
                                        {"h", 3'600'000'000'000}}};

/// `value` x `unit` is at most 2^63, the magnitude of the smallest duration.
constexpr std::uint64_t magnitude_limit = 1ULL << 63;

/// One `1.5h`. Nothing when malformed or too large.
std::optional<std::uint64_t> read_go_term(reader& in) {
  std::uint64_t whole = 0;
  bool any_digit = false;
  for (; in.at_digit(); any_digit = true) {
    if (whole > magnitude_limit / 10)
      return std::nullopt;
    whole = whole * 10 + static_cast<std::uint64_t>(in.digit());
  }
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
  if (in.skip('.')) {
    for (; in.at_digit(); any_digit = true) {
      const auto d = static_cast<std::uint64_t>(in.digit());
      if (scale < 1'000'000'000'000'000) { // finer digits are far below a nanosecond of the largest unit
        fraction = fraction * 10 + d;
        scale *= 10;
      }
    }
  }
  if (!any_digit)
    return std::nullopt;
  for (const auto& u : go_units) {
    if (!in.skip(u.name))
      continue;
    if (whole > magnitude_limit / u.ns)
      return std::nullopt;
    const auto part = static_cast<std::uint64_t>(static_cast<long double>(fraction) * static_cast<long double>(u.ns) / static_cast<long double>(scale));
    const std::uint64_t total = whole * u.ns + part;
    return total > magnitude_limit ? std::nullopt : std::optional{total};
  }
  return std::nullopt;
}

/// `12.5` without trailing zeros; `value` counts thousandth parts when `scale` is 1,000, and so on.
std::string decimal(std::uint64_t value, std::uint64_t scale) {
  std::string text = std::to_string(value / scale);
  if (std::uint64_t rest = value % scale; rest != 0) {
    text += '.';
    for (; rest != 0; rest = rest % scale) {
      scale /= 10;
      text += static_cast<char>('0' + rest / scale);
    }
  }
  return text;
}

/// `<a><unit>` or `<a><unit><b><unit>`, the second left out when zero.
std::string two_units(std::int64_t a, char a_unit, std::int64_t b, char b_unit) {
  std::string text = std::to_string(a) + a_unit;
  if (b != 0)
    text += std::to_string(b) + b_unit;
  return text;
}

} // namespace

std::string format_rfc3339(wall_time t) {
  const auto s = floor<seconds>(t);
  const auto day = floor<days>(s);
  const year_month_day date{day};
  const hh_mm_ss clock{s - day};
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

std::optional<wall_time> parse_rfc3339(std::string_view text) {
  reader in{text};
  const auto y = in.number(4, 1, 9999);
  if (!y || !in.skip('-'))
    return std::nullopt;
  const auto mon = in.number(2, 1, 12);
  if (!mon || !in.skip('-'))
    return std::nullopt;
  const auto d = in.number(2, 1, 31);
  if (!d || !in.skip('T'))
    return std::nullopt;
  const auto h = in.number(2, 0, 23);
  if (!h || !in.skip(':'))
    return std::nullopt;
  const auto min = in.number(2, 0, 59);
  if (!min || !in.skip(':'))
    return std::nullopt;
  const auto sec = in.number(2, 0, 59);
  if (!sec)
    return std::nullopt;
  const auto fraction = read_fraction(in);
  const auto offset = fraction ? read_offset(in) : std::nullopt;
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*mon)}, day{static_cast<unsigned>(*d)}};
  if (!offset || !in.at_end() || !date.ok())
    return std::nullopt;
  return to_wall(sys_days{date} + hours{*h} + minutes{*min} + seconds{*sec} - *offset, *fraction);
}

std::string human_duration(std::chrono::seconds d) {
  const std::int64_t s = d.count();
  const std::int64_t m = s / 60;
  const std::int64_t h = s / 3600;
  const std::int64_t day = h / 24;
  if (s < -1)
    return "<invalid>"; // as kubectl shows a stamp from the future
  if (s < 0)
    return "0s";
  if (s < 120)
    return std::to_string(s) + 's';
  if (m < 10)
    return two_units(m, 'm', s % 60, 's');
  if (m < 180)
    return std::to_string(m) + 'm';
  if (h < 8)
    return two_units(h, 'h', m % 60, 'm');
  if (h < 48)
    return std::to_string(h) + 'h';
  if (day < 8)
    return two_units(day, 'd', h % 24, 'h');
  if (day < 2 * 365)
    return std::to_string(day) + 'd';
  if (day < 8 * 365)
    return two_units(day / 365, 'y', day % 365, 'd');
  return std::to_string(day / 365) + 'y';
}

std::optional<std::chrono::nanoseconds> parse_go_duration(std::string_view text) {
  reader in{text};
  const bool negative = in.skip('-');
  if (!negative)
    in.skip('+');
  if (text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0) == "0")
    return nanoseconds{0};
  if (in.at_end())
    return std::nullopt;
  std::uint64_t total = 0;
  while (!in.at_end()) {
    const auto term = read_go_term(in);
    if (!term || *term > magnitude_limit - total)
      return std::nullopt;
    total += *term;
  }
  if (negative)
    return nanoseconds{static_cast<std::int64_t>(0 - total)};
  if (total == magnitude_limit)
    return std::nullopt;
  return nanoseconds{static_cast<std::int64_t>(total)};
}

std::string format_go_duration(std::chrono::nanoseconds d) {
  const bool negative = d.count() < 0;
  const std::uint64_t ns = negative ? 0 - static_cast<std::uint64_t>(d.count()) : static_cast<std::uint64_t>(d.count());
  std::string text = negative ? "-" : "";
  if (ns == 0)
    return "0s";
  if (ns < 1'000)
    return text + std::to_string(ns) + "ns";
  if (ns < 1'000'000)
    return text + decimal(ns, 1'000) + "\u00b5s";
  if (ns < 1'000'000'000)
    return text + decimal(ns, 1'000'000) + "ms";
  const std::uint64_t s = ns / 1'000'000'000;
  if (s >= 3600)
    text += std::to_string(s / 3600) + 'h';
  if (s >= 60)
    text += std::to_string(s / 60 % 60) + 'm';
  return text + std::to_string(s % 60) + 's';
}

} // namespace veranda
