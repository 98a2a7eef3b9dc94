#pragma once

#include "config/settings/setting_table.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <type_traits>

/// The kinds of settings that there are: what each takes, and how it is shown. The table is made of them.
namespace veranda::config {

/// Decimal digits only: no sign, no blanks.
inline std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Knows how its field is taken from other settings.
template <class Field>
setting kept_in(Field settings::* field, setting row) {
  row.copy = [field](settings& to, const settings& from) { to.*field = from.*field; };
  return row;
}

[[nodiscard]] setting duration(std::string_view name, std::string_view meaning, std::chrono::milliseconds settings::* field, std::chrono::milliseconds least,
                               std::chrono::milliseconds most, bool zero_allowed = false);
[[nodiscard]] setting bytes(std::string_view name, std::string_view meaning, std::uint64_t settings::* field, std::uint64_t least, std::uint64_t most, bool zero_allowed = false);
[[nodiscard]] setting flag(std::string_view name, std::string_view meaning, bool settings::* field);
[[nodiscard]] setting path(std::string_view name, std::string_view placeholder, std::string_view meaning, std::filesystem::path settings::* field);
[[nodiscard]] setting object_name(std::string_view name, std::string_view meaning, std::string settings::* field);
[[nodiscard]] setting one_namespace(std::string_view name, std::string_view meaning, std::string settings::* field);
/// Text on one line, of at most 4096 bytes; what it means is for others to judge.
[[nodiscard]] setting line(std::string_view name, std::string_view placeholder, std::string_view meaning, std::string rule, std::string settings::* field);
[[nodiscard]] setting label_selector(std::string_view name, std::string_view meaning, std::string settings::* field);
/// A list of ranges of addresses.
[[nodiscard]] setting ranges(std::string_view name, std::string_view meaning, std::vector<ip_range> settings::* field);
/// What a Lease keeps in whole seconds.
[[nodiscard]] setting whole_seconds(setting row);
/// Names of namespaces, none twice.
[[nodiscard]] setting namespaces(std::string_view name, std::string_view meaning);
/// `127.0.0.1:7878`, `[::1]:7878`, `localhost:0`. An IPv6 address needs its brackets.
[[nodiscard]] setting listen(std::string_view name, std::string_view meaning);
/// A zone of the tz database.
[[nodiscard]] setting zone(std::string_view name, std::string_view meaning, std::string settings::* field);

template <class Integer>
setting count(std::string_view name, std::string_view meaning, Integer settings::* field, std::uint64_t least, std::uint64_t most) {
  return kept_in(field, {name, "N", meaning, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
          [=](settings& s, std::string_view text) {
            const auto value = parse_count(text);
            if (!value || *value < least || *value > most) return false;
            s.*field = static_cast<Integer>(*value);
            return true;
          },
          [=](const settings& s) { return std::to_string(s.*field); }});
}

/// One of a few words, kept as text or as an enumerator of the same position.
template <class Field, std::size_t N>
setting choice(std::string_view name, std::string_view meaning, Field settings::* field, std::array<std::string_view, N> words) {
  auto rule = std::accumulate(words.begin() + 1, words.end(), "must be one of " + std::string{words.front()},
                              [](std::string all, std::string_view word) { return all.append(", ").append(word); });
  return kept_in(field, {name, "WORD", meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const auto word = std::ranges::find(words, text);
            if (word == words.end()) return false;
            if constexpr (std::is_enum_v<Field>) {
              s.*field = static_cast<Field>(word - words.begin());
            } else {
              s.*field = Field{*word};
            }
            return true;
          },
          [=](const settings& s) {
            if constexpr (std::is_enum_v<Field>) {
              return std::string{words[static_cast<std::size_t>(s.*field)]};
            } else {
              return s.*field;
            }
          }});
}

/// One that the process takes in while it runs.
inline setting live(setting row) {
  row.reloads = true;
  return row;
}

} // namespace veranda::config
