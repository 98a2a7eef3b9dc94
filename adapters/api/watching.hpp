#pragma once

#include "adapters/api/listing.hpp"

namespace veranda::api {

/// Answers a watch: `reply::stream` gives one JSON event per line until the client's or the server's deadline. It is pulled, so nothing is buffered for a slow
/// client; one that falls out of the history gets the ERROR event with code 410.
[[nodiscard]] reply watch_objects(const route& r, std::string_view accept, reader_pool& readers);

} // namespace veranda::api
