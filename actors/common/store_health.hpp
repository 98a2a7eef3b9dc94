#pragma once

#include "messages/model/failure.hpp"

#include <atomic>
#include <optional>

namespace veranda {

/// How the last write to a store went, said by its writer and read by the probes. Lock-free.
class store_health {
public:
  /// What became of a write; `why` null: it is stored. Refusals of the request itself (a conflict, a bad object) say nothing about the store; that we may not write
  /// there does.
  void note(const failure* why) noexcept {
    if (why == nullptr)
      code_ = 0;
    else if (const auto c = class_of(why->code); c == error_class::retry || c == error_class::damaged || c == error_class::bug || why->code == ec::auth_rejected)
      code_ = static_cast<std::uint8_t>(why->code);
  }
  /// Why the store does not work now; nothing when it does.
  [[nodiscard]] std::optional<ec> trouble() const noexcept {
    const auto code = code_.load();
    return code == 0 ? std::nullopt : std::optional{static_cast<ec>(code)};
  }

private:
  std::atomic<std::uint8_t> code_{0};
};

} // namespace veranda
