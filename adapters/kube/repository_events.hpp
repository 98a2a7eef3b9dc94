#pragma once

#include "messages/model/api_object.hpp"
#include "messages/model/repository.hpp"

namespace veranda::kube {

/// A Repository as the API server gave it. One that does not decode at all still is one: it is passed on with its problem, so that its condition can say so.
/// Of an object without text only the identity is set. Pure.
[[nodiscard]] repository_object to_repository(const api_object& object);

} // namespace veranda::kube
