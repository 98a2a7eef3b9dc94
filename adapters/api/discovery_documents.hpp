#pragma once

#include "adapters/api/http.hpp"
#include "adapters/api/router.hpp"

namespace veranda::api {

/// Answers /api, /apis, /apis/GROUP, /apis/GROUP/VERSION and /version: the legacy documents, or the aggregated one when the client accepts it.
[[nodiscard]] reply discovery_document(const route& r, std::string_view accept);

} // namespace veranda::api
