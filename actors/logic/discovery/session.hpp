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
  bool stopped_ = false;
  std::uint32_t asked_ = 0;

  /// True once the run must end: for loops that read no objects, and that a remote can make very long. It looks at the clock now and then. What they
  /// answer then is worth nothing; `go_on` says so to whoever would keep it.
  [[nodiscard]] bool stopped() noexcept {
    if (!stopped_ && (++asked_ & 255U) == 0)
      stopped_ = cancel.expired();
    return stopped_;
  }
  [[nodiscard]] result<void> go_on() const {
    return stopped_ || cancel.expired() ? result<void>{failure{cancel.reason(), "the discovery was stopped", {}, {}, {}}} : result<void>{};
  }

  /// Reads an object and counts it. A failure that is about this object alone (`too_large`) is told apart by `is_isolated`.
  [[nodiscard]] result<git_object> read(const oid& id) {
    if (auto on = go_on(); !on)
      return std::move(on).error();
    ++index.objects_read;
    return reader.read(id, limits.max_object_bytes);
  }
  [[nodiscard]] static bool is_isolated(const failure& f) noexcept { return f.code == ec::too_large; }

  [[nodiscard]] std::string too_large() const { return "is larger than " + std::to_string(limits.max_object_bytes) + " bytes"; }
};

} // namespace veranda::logic
