#pragma once

#include "messages/model/failure.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace veranda::api {

/// One requirement of a label or field selector.
struct requirement {
  enum class operation : std::uint8_t { exists, absent, in, not_in };
  std::string key;
  operation op = operation::exists;
  std::set<std::string, std::less<>> values;
  bool operator==(const requirement&) const = default;
};

using attribute_map = std::map<std::string, std::string, std::less<>>;

/// All requirements must hold. As in Kubernetes `!=` and `notin` also match objects without the key.
struct selector {
  std::vector<requirement> requirements;
  [[nodiscard]] bool empty() const noexcept { return requirements.empty(); }
  [[nodiscard]] bool matches(const attribute_map& attributes) const;
  /// The value when the selector pins `key` to exactly one, else empty.
  [[nodiscard]] std::string pinned(std::string_view key) const;
  [[nodiscard]] bool mentions(std::string_view key) const;
};

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Failure `invalid_spec` with the text that Kubernetes users know.
[[nodiscard]] result<selector> parse_label_selector(std::string_view text);
/// `a=b,c==d,e!=f`; backslash escapes `,`, `=` and itself. Keys must be among `known`.
[[nodiscard]] result<selector> parse_field_selector(std::string_view text, const std::vector<std::string_view>& known);

} // namespace veranda::api
