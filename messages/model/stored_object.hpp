#pragma once

#include "messages/model/object.hpp"

#include <cstdint>
#include <string>

namespace veranda::store {

/// An object as stored: JSON text with Kubernetes' metadata filled in.
struct stored_object {
  std::string resource; ///< plural with group, `repositories.config.porch.kpt.dev`
  object_key key;
  std::string uid;
  std::int64_t resource_version = 0;
  std::int64_t generation = 0;
  std::string json; ///< whole object: apiVersion, kind, metadata, spec, status
};

} // namespace veranda::store
