#pragma once

#include "actors/logic/discovery/index.hpp"

namespace veranda::logic {

/// What one run of discovery works with.
struct session {
  object_reader& reader;
  package_decoder& decoder;
  discovery_index::impl& index;
  const discovery_limits& limits;
  const cancel_token& cancel;

  /// Reads an object and counts it. A failure that is about this object alone (`too_large`) is told apart by `is_isolated`.
  [[nodiscard]] result<git_object> read(const oid& id) {
    if (cancel.expired())
      return failure{cancel.reason(), "the discovery was stopped", {}, {}, {}};
    ++index.objects_read;
    return reader.read(id, limits.max_object_bytes);
  }
  [[nodiscard]] static bool is_isolated(const failure& f) noexcept { return f.code == ec::too_large; }

  [[nodiscard]] std::string too_large() const { return "is larger than " + std::to_string(limits.max_object_bytes) + " bytes"; }
};

} // namespace veranda::logic
