#pragma once

#include "adapters/api/kinds.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace veranda::api {

enum class endpoint : std::uint8_t {
  unknown,
  bad_path, ///< not decodable
  api_versions,
  api_groups,
  api_group,
  api_resources,
  version,
  livez,
  readyz,
  metrics,
  dump,
  explain,
  top,
  collection,
  object,
  object_status,
};

enum class verb : std::uint8_t { not_allowed, get, list, watch, create, update, patch, remove };

/// Decoded query parameters; of a repeated one the first counts.
using query_map = std::map<std::string, std::string, std::less<>>;

struct route {
  endpoint where = endpoint::unknown;
  verb action = verb::not_allowed;
  const kind_info* kind = nullptr;
  std::string group;
  std::string ns; ///< empty: all namespaces
  std::string name;
  query_map query;

  /// The value, or empty.
  [[nodiscard]] std::string param(std::string_view name) const;
  /// True for `1`, `true` and a parameter without value, as Kubernetes reads booleans.
  [[nodiscard]] bool flag(std::string_view name) const;
};

/// Percent-decoding; in queries `+` is a space. Nothing for a broken escape or an embedded NUL.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

/// A non-negative decimal number; nothing for anything else.
[[nodiscard]] std::optional<std::int64_t> parse_number(std::string_view text);

/// What a request line asks for. Pure. `path` and `query` as on the wire, without the `?`.
[[nodiscard]] route route_request(std::string_view method, std::string_view path, std::string_view query);

/// True for what is answered without a token: probes and metrics.
[[nodiscard]] bool is_public(std::string_view path);

} // namespace veranda::api
