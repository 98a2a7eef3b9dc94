#pragma once

#include "messages/model/package_revision.hpp"

#include <set>
#include <vector>

namespace veranda::logic {

/// What is reported of a remote or a package. All of it is counted; only the first items in order are kept, each cut to a bounded length, so that a remote
/// with a million faults fills no memory.
class bad_items {
public:
  static constexpr std::size_t most_kept = 1'000;
  static constexpr std::size_t most_bytes = 1'024; ///< of each text

  void add(std::string what, std::string reason, bool excluded);
  /// How many were added; those that are said twice count once, as far as both would be kept.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// What was kept, in order. Nothing is left here.
  [[nodiscard]] std::vector<bad_item> take();

private:
  std::set<bad_item> first_;
  std::uint64_t count_ = 0;
};

} // namespace veranda::logic
