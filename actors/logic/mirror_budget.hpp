#pragma once

#include "messages/model/time.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace veranda::logic {

/// What a mirror takes on the disk.
struct mirror_use {
  std::string name;   ///< of its directory
  std::string remote; ///< whose it is
  std::uint64_t bytes = 0;
  wall_time last_used{};
};

/// Which mirrors may go while all take more than `max_bytes` together, in the order in which they do: those first that are larger than the limit by themselves, then
/// the least recently used. The one that was used last stays unless it is one of the former.
[[nodiscard]] std::vector<mirror_use> removal_order(std::vector<mirror_use> mirrors, std::uint64_t max_bytes);

/// What the packs of one mirror may take when all mirrors may take `max_bytes` (0: no limit). With half of it no remote drives out all others, a mirror that was fetched
/// fits with its indexes, and its packs can be written anew beside the old ones.
[[nodiscard]] std::uint64_t most_of_one(std::uint64_t max_bytes) noexcept;

/// Whether a mirror may hold so much that refs no longer lead to that its packs are worth writing anew: they take more than twice of what they took when all of it was
/// known to be of use (0: not known), and a little. What really grew is looked through once for each time that it doubles.
[[nodiscard]] bool outgrown(std::uint64_t bytes, std::uint64_t whole_bytes) noexcept;

} // namespace veranda::logic
