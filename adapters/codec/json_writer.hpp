#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace veranda::codec {

[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;
/// The text with every byte that is not part of a valid UTF-8 sequence replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view text);

/// Writes compact JSON straight into a string: for the kinds that are listed by the hundred thousand. Strings are escaped and made valid UTF-8.
/// The caller pairs `begin_*` and `end_*` and gives a key to each member of an object.
class json_writer {
public:
  explicit json_writer(std::string& out) : out_(out) {}

  json_writer& key(std::string_view name);
  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }
  json_writer& text(std::string_view value);
  json_writer& number(std::int64_t value);
  json_writer& boolean(bool value);
  /// `json` is one valid JSON value.
  json_writer& raw(std::string_view json);

  /// Members that are left out when they say nothing.
  json_writer& member(std::string_view name, std::string_view value);
  json_writer& member(std::string_view name, std::int64_t value);
  template <class Map>
  json_writer& member_map(std::string_view name, const Map& map) {
    if (map.empty())
      return *this;
    key(name).begin_object();
    for (const auto& [k, v] : map)
      key(k).text(v);
    return end_object();
  }

private:
  json_writer& open(char bracket);
  json_writer& close(char bracket);
  void separate();
  void quote(std::string_view value);

  std::string& out_;
  bool first_ = true;
};

} // namespace veranda::codec
