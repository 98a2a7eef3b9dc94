#pragma once

#include "messages/model/time.hpp"

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace veranda {

/// Namespaced name of a Kubernetes object.
struct object_key {
  std::string ns;
  std::string name;
  auto operator<=>(const object_key&) const = default;
};

/// `namespace/name`.
[[nodiscard]] std::string to_string(const object_key& key);

/// The part of Kubernetes' ObjectMeta that Veranda uses.
struct object_meta {
  object_key key;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::optional<wall_time> created;
  std::optional<wall_time> deleted; ///< deletionTimestamp
  std::vector<std::string> finalizers;
  bool operator==(const object_meta&) const = default;
};

} // namespace veranda

template <>
struct std::hash<veranda::object_key> {
  std::size_t operator()(const veranda::object_key& k) const noexcept {
    return std::hash<std::string>{}(k.ns) * 1000003U ^ std::hash<std::string>{}(k.name);
  }
};
