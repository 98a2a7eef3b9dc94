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

/// What runs and is not wanted: a key that was made anew is among them with its old uid. Sorted by key. Pure; the order of the arguments' elements does not matter, repeats count once.
[[nodiscard]] std::vector<object_identity> gone(std::vector<object_identity> wanted, std::vector<object_identity> running);

} // namespace veranda::logic
