#pragma once

#include "adapters/api/collection.hpp"
#include "adapters/api/http.hpp"
#include "adapters/api/router.hpp"

namespace veranda::api {

/// Which threads may answer a request: probes on the network's own, reads among readers, what may wait for an actor apart from both.
enum class lane : std::uint8_t { immediate, read, call };

/// Turns requests into answers; knows nothing of sockets. Thread safe.
class request_handler {
public:
  explicit request_handler(api_dependencies dependencies) : dependencies_(std::move(dependencies)), readers_(dependencies_) {}
  request_handler(const request_handler&) = delete;
  request_handler& operator=(const request_handler&) = delete;

  [[nodiscard]] static lane lane_of(const route& r);
  /// Never throws.
  [[nodiscard]] reply handle(const route& r, const request& q);

private:
  reply dispatch(const route& r, const request& q);
  reply get_object(const route& r, std::string_view accept);
  reply dump(const route& r);
  reply explain(const route& r);

  api_dependencies dependencies_;
  reader_pool readers_;
};

} // namespace veranda::api
