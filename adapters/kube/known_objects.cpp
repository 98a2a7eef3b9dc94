#include "adapters/kube/known_objects.hpp"

#include "adapters/kube/status_patch.hpp"

namespace veranda::kube {

void known_objects::seen(const api_object& object) {
  known_object now{object.uid, object.resource_version, told_conditions(object.json), foreign_conditions(object.json)};
  const std::lock_guard lock{mutex_};
  auto& [watched, answered] = all_[object.key];
  if (answered && (answered->uid != now.uid || answered->resource_version == now.resource_version)) answered.reset();
  watched = std::move(now);
}

void known_objects::gone(const object_key& key) {
  const std::lock_guard lock{mutex_};
  all_.erase(key);
}

void known_objects::answered(const api_object& object) {
  known_object now{object.uid, object.resource_version, told_conditions(object.json), foreign_conditions(object.json)};
  const std::lock_guard lock{mutex_};
  const auto at = all_.find(object.key);
  if (at == all_.end()) return; // not one of those that are followed, or not any more
  if (at->second.watched.resource_version == now.resource_version)
    at->second.answered.reset();
  else
    at->second.answered = std::move(now);
}

std::optional<known_object> known_objects::find(const object_key& key) const {
  const std::lock_guard lock{mutex_};
  const auto at = all_.find(key);
  if (at == all_.end()) return std::nullopt;
  return at->second.answered ? at->second.answered : at->second.watched;
}

std::size_t known_objects::size() const {
  const std::lock_guard lock{mutex_};
  return all_.size();
}

} // namespace veranda::kube
