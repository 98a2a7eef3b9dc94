#pragma once

#include "adapters/api/collection.hpp"
#include "adapters/api/http.hpp"
#include "adapters/api/router.hpp"

namespace veranda::api {

/// True when a merge patch changes nothing but annotations: what is allowed on an object that a manifest file owns.
[[nodiscard]] bool touches_only_annotations(std::string_view patch);

/// Answers create, update, patch and delete of Repository objects: body checked, ownership by files respected, spec validated, then given to the writer.
/// Blocks as long as the writer does.
[[nodiscard]] reply write_object(const route& r, const request& q, reader_pool& readers, object_writer& writer);

} // namespace veranda::api
