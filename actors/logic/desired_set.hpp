#pragma once

#include "messages/model/object.hpp"

#include <string>
#include <vector>

namespace veranda::logic {

/// One life of an object: a key may come back with another uid.
struct object_identity {
  object_key key;
  std::string uid;
  auto operator<=>(const object_identity&) const = default;
};

/// What makes the running set equal to the wanted one. `stop` comes first: a key in both `stop` and `spawn` was re-created, and its new life must wait
/// for the end of the old one. `update` is everything that is in both, whether it changed or not. All sorted by key.
struct set_change {
  std::vector<object_identity> spawn;
  std::vector<object_identity> update;
  std::vector<object_identity> stop;
  bool operator==(const set_change&) const = default;
};

/// Pure; the order of the arguments' elements does not matter, repeats count once.
[[nodiscard]] set_change difference(std::vector<object_identity> wanted, std::vector<object_identity> running);

} // namespace veranda::logic
