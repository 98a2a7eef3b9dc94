#include "actors/logic/cron_parser.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

namespace veranda::logic {

namespace {

constexpr std::size_t max_expression_bytes = 4096;
constexpr std::size_t max_quoted_bytes = 64;

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

/// What one of the five fields may hold. The first of `names` stands for `min`.
struct field_rule {
  std::string_view name;
  std::uint64_t min;
  std::uint64_t max;
  std::span<const std::string_view> names;
};
constexpr field_rule minute_rule{"minute", 0, 59, {}};
constexpr field_rule hour_rule{"hour", 0, 23, {}};
constexpr field_rule day_of_month_rule{"day-of-month", 1, 31, {}};
constexpr field_rule month_rule{"month", 1, 12, month_names};
constexpr field_rule day_of_week_rule{"day-of-week", 0, 6, day_names};

/// The values of one field, and whether it counts as a star in the day rule.
struct field_set {
  std::uint64_t bits = 0;
  bool star = false;
};

/// User text for an error: shortened, and never anything a terminal would obey.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, max_quoted_bytes))
    out += c >= ' ' && c <= '~' ? c : '?';
  return out += text.size() > max_quoted_bytes ? "...\"" : "\"";
}

failure broken(std::string what) { return failure{ec::invalid_spec, std::move(what), {}, {}, {}}; }

failure broken_item(const field_rule& rule, std::string_view item, const std::string& why) {
  return broken(std::string{rule.name} + " field: " + quoted(item) + ": " + why);
}

/// White space in the sense of Unicode, as UTF-8: what robfig/cron splits fields at.
std::size_t space_length(std::string_view text) {
  constexpr std::array<std::string_view, 25> spaces{" ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
                                                    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
                                                    "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  for (const auto space : spaces)
    if (text.starts_with(space))
      return space.size();
  return 0;
}

std::vector<std::string_view> split_at_space(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t space = space_length(text.substr(i));
    if (space != 0 && i > begin)
      words.push_back(text.substr(begin, i - begin));
    i += space != 0 ? space : 1;
    if (space != 0)
      begin = i;
  }
  if (begin < text.size())
    words.push_back(text.substr(begin));
  return words;
}

std::string_view trimmed(std::string_view text) {
  const auto words = split_at_space(text);
  if (words.empty())
    return {};
  const char* end = words.back().data() + words.back().size();
  return {words.front().data(), static_cast<std::size_t>(end - words.front().data())};
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos)
      return parts;
    text.remove_prefix(at + 1);
  }
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size())
    return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i]) != lower[i])
      return false;
  return true;
}

/// A number below 2^63, an optional `+` before it.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  constexpr std::uint64_t limit = (1ULL << 63) - 1;
  if (text.starts_with('+'))
    text.remove_prefix(1);
  if (text.empty())
    return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9')
      return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (limit - digit) / 10)
      return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<std::uint64_t> parse_value(std::string_view text, const field_rule& rule) {
  for (std::size_t i = 0; i < rule.names.size(); ++i)
    if (equals_ignoring_case(text, rule.names[i]))
      return rule.min + i;
  return parse_number(text);
}

std::string value_rule(const field_rule& rule, std::string_view found) {
  std::string text = quoted(found) + " is not a number from " + std::to_string(rule.min) + " to " + std::to_string(rule.max);
  if (!rule.names.empty())
    text += " or one of the names " + std::string{rule.names.front()} + " to " + std::string{rule.names.back()};
  return text;
}

/// `*`, `?`, `n`, `a-b`, each with an optional `/step`.
result<field_set> parse_item(std::string_view item, const field_rule& rule) {
  const auto range_and_step = split(item, '/');
  if (range_and_step.size() > 2)
    return broken_item(rule, item, "only one \"/\" is allowed");
  const auto ends = split(range_and_step.front(), '-');
  const bool star = ends.front() == "*" || ends.front() == "?"; // what follows in the range is ignored
  const bool stepped = range_and_step.size() == 2;
  if (!star && ends.size() > 2)
    return broken_item(rule, item, "only one \"-\" is allowed");

  std::uint64_t first = rule.min;
  std::uint64_t last = rule.max;
  if (!star) {
    for (const auto text : ends)
      if (!parse_value(text, rule))
        return broken_item(rule, item, value_rule(rule, text));
    first = *parse_value(ends.front(), rule);
    last = stepped && ends.size() == 1 ? rule.max : *parse_value(ends.back(), rule);
  }
  const auto step = stepped ? parse_number(range_and_step.back()) : std::optional<std::uint64_t>{1};
  if (!step || *step == 0)
    return broken_item(rule, item, "the step must be a positive number");
  if (first < rule.min)
    return broken_item(rule, item, std::to_string(first) + " is below the minimum " + std::to_string(rule.min));
  if (last > rule.max || first > rule.max)
    return broken_item(rule, item, std::to_string(std::max(first, last)) + " is above the maximum " + std::to_string(rule.max));
  if (first > last)
    return broken_item(rule, item, "the range must not descend");

  field_set set{0, star && *step == 1};
  for (std::uint64_t v = first; v <= last; v += *step)
    set.bits |= 1ULL << v;
  return set;
}

/// A list of items; empty ones are dropped.
result<field_set> parse_field(std::string_view text, const field_rule& rule) {
  field_set all;
  for (const auto item : split(text, ',')) {
    if (item.empty())
      continue;
    const auto set = parse_item(item, rule);
    if (!set)
      return set;
    all.bits |= set->bits;
    all.star = all.star || set->star;
  }
  return all;
}

failure wrong_field_count(const std::vector<std::string_view>& found) {
  std::string list;
  for (const auto text : found) {
    if (list.size() > max_quoted_bytes)
      break;
    list += (list.empty() ? "" : " ") + std::string{text};
  }
  list = quoted(list);
  return broken("expected exactly 5 fields, found " + std::to_string(found.size()) + ": [" + list.substr(1, list.size() - 2) + ']');
}

result<cron_fields> parse_fields(std::string_view text) {
  const auto found = split_at_space(text);
  if (found.size() != 5)
    return wrong_field_count(found);
  constexpr std::array rules{minute_rule, hour_rule, day_of_month_rule, month_rule, day_of_week_rule};
  std::array<field_set, 5> sets;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    auto set = parse_field(found[i], rules[i]);
    if (!set)
      return std::move(set).error();
    sets[i] = *set;
  }
  return cron_fields{sets[0].bits, sets[1].bits, sets[2].bits, sets[3].bits, sets[4].bits, sets[2].star, sets[4].star};
}

/// The expression that a descriptor stands for; empty for an unknown one.
std::string_view descriptor_fields(std::string_view name) {
  struct descriptor {
    std::string_view name, fields;
  };
  constexpr std::array<descriptor, 7> descriptors{{{"@yearly", "0 0 1 1 *"},
                                                   {"@annually", "0 0 1 1 *"},
                                                   {"@monthly", "0 0 1 * *"},
                                                   {"@weekly", "0 0 * * 0"},
                                                   {"@daily", "0 0 * * *"},
                                                   {"@midnight", "0 0 * * *"},
                                                   {"@hourly", "0 * * * *"}}};
  for (const auto& d : descriptors)
    if (d.name == name)
      return d.fields;
  return {};
}

/// Whole seconds, at least one: a shorter or negative duration means every second.
result<std::chrono::seconds> parse_every(std::string_view duration) {
  const auto d = parse_go_duration(duration);
  if (!d)
    return broken("@every: " + quoted(duration) + " is not a duration such as \"90s\", \"15m\" or \"1h30m\" (units ns, us, ms, s, m, h)");
  return std::max(std::chrono::seconds{1}, std::chrono::duration_cast<std::chrono::seconds>(*d));
}

/// Takes `TZ=<zone> ` or `CRON_TZ=<zone> ` off the front of `text`; nothing when there is no such prefix.
result<std::optional<std::string>> take_zone(std::string_view& text) {
  if (!text.starts_with("TZ=") && !text.starts_with("CRON_TZ="))
    return std::optional<std::string>{};
  const auto begin = text.find('=') + 1;
  const auto space = text.find(' ');
  if (space == std::string_view::npos)
    return broken("a time zone prefix must be followed by a space and a schedule, found " + quoted(text));
  std::string zone{text.substr(begin, space - begin)};
  text = trimmed(text.substr(space));
  return std::optional{zone.empty() ? std::string{"UTC"} : std::move(zone)};
}

} // namespace

result<cron_expression> parse_cron(std::string_view expression, const std::string& default_zone) {
  constexpr std::string_view every_prefix = "@every ";
  if (expression.empty())
    return broken("the cron expression is empty");
  if (expression.size() > max_expression_bytes)
    return broken("the cron expression is longer than " + std::to_string(max_expression_bytes) + " bytes");
  auto zone = take_zone(expression);
  if (!zone)
    return std::move(zone).error();
  cron_expression parsed;
  parsed.zone = zone->value_or(default_zone.empty() ? "UTC" : default_zone);
  if (!time_zone_exists(parsed.zone))
    return broken("unknown time zone " + quoted(parsed.zone) + ": must be a name of the IANA zone database, UTC or Local");

  if (expression.starts_with(every_prefix)) {
    const auto every = parse_every(expression.substr(every_prefix.size()));
    if (!every)
      return every.error();
    parsed.every = *every;
    return parsed;
  }
  if (expression.starts_with('@')) {
    const auto fields = descriptor_fields(expression);
    if (fields.empty())
      return broken("unknown descriptor " + quoted(expression) +
                    ": must be @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly or \"@every <duration>\"");
    expression = fields;
  }
  const auto fields = parse_fields(expression);
  if (!fields)
    return fields.error();
  parsed.fields = *fields;
  return parsed;
}

} // namespace veranda::logic
