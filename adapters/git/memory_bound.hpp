#pragma once

#include <cstdint>

namespace veranda::git {

/// While one lives, libgit2 gets at most so many bytes more on this thread, in pieces of 64 KiB and above: smaller ones are its own books. It asks for an
/// object's memory before it inflates the first byte, so that an object which a few bytes claim to be huge costs nothing. Takes the place of a bound that
/// is there already, for as long as it lives.
class memory_bound {
public:
  explicit memory_bound(std::uint64_t bytes) noexcept;
  memory_bound(const memory_bound&) = delete;
  memory_bound& operator=(const memory_bound&) = delete;
  ~memory_bound();
  /// True once memory was refused: that, and nothing else, is why libgit2 failed.
  [[nodiscard]] bool exceeded() const noexcept { return exceeded_; }

  /// Gives libgit2 the allocator that asks these bounds. Once, before libgit2 is used.
  static void install();

private:
  friend struct bounded_allocator;
  std::int64_t bytes_;
  std::int64_t used_ = 0; ///< below zero when more was given back than taken
  bool exceeded_ = false;
  memory_bound* outer_;
};

} // namespace veranda::git
