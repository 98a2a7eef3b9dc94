#pragma once

#include "messages/model/api_object.hpp"

#include <mutex>
#include <optional>
#include <unordered_map>

namespace veranda::kube {

/// What a writer must know of an object to change its status without reading it first.
struct known_object {
  std::string uid;
  std::string resource_version;
  std::string told;    ///< the conditions that events speak of, as `told_conditions` gives them
  std::string foreign; ///< conditions of others, as `foreign_conditions` gives them
  bool operator==(const known_object&) const = default;
};

/// The last that is known of each object: what the watch saw, or what a write was answered with when the watch has not come that far. Versions have no order, so
/// an answer counts until the watch shows just that version; if that is wrong, the write conflicts and is made again after a reading. Thread safe.
class known_objects {
public:
  /// The watch saw it as this.
  void seen(const api_object& object);
  /// The watch saw its end.
  void gone(const object_key& key);
  /// A read or a write was answered with this.
  void answered(const api_object& object);
  [[nodiscard]] std::optional<known_object> find(const object_key& key) const;
  [[nodiscard]] std::size_t size() const;

private:
  struct views {
    known_object watched;
    std::optional<known_object> answered;
  };
  mutable std::mutex mutex_;
  std::unordered_map<object_key, views> all_;
};

} // namespace veranda::kube
