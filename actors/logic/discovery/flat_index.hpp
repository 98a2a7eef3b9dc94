#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace veranda::logic {

/// "No such record".
inline constexpr std::uint32_t none = 0xffffffffU;

/// Finds record numbers by the hash of what identifies the record; the records themselves live elsewhere, in a vector.
/// Open addressing, four bytes a slot, at most half full.
class flat_index {
public:
  /// The number for which `equal(number)` holds among those with this hash, or `none`.
  template <class Equal>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Equal equal) const {
    if (slots_.empty())
      return none;
    for (std::size_t at = start(hash);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == none || equal(slots_[at]))
        return slots_[at];
    }
  }

  /// Adds a number that is not in yet; `hash_of(number)` must work for every number in the index.
  template <class HashOf>
  void insert(std::uint32_t number, HashOf hash_of) {
    if ((used_ + 1) * 2 > slots_.size())
      grow((used_ + 1) * 4, hash_of);
    place(number, hash_of(number));
    ++used_;
  }

  /// Holds exactly the numbers below `count`.
  template <class HashOf>
  void rebuild(std::size_t count, HashOf hash_of) {
    clear();
    grow(count * 2 + 1, hash_of);
    for (; used_ < count; ++used_)
      place(static_cast<std::uint32_t>(used_), hash_of(static_cast<std::uint32_t>(used_)));
  }

  /// Makes room for `count` numbers.
  template <class HashOf>
  void reserve(std::size_t count, HashOf hash_of) {
    if (count * 2 > slots_.size())
      grow(count * 2 + 1, hash_of);
  }

  void clear() noexcept {
    slots_.clear();
    used_ = 0;
  }

private:
  [[nodiscard]] std::size_t start(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>((hash * 0x9e3779b97f4a7c15U) >> 20U) & (slots_.size() - 1);
  }

  void place(std::uint32_t number, std::uint64_t hash) {
    std::size_t at = start(hash);
    while (slots_[at] != none)
      at = (at + 1) & (slots_.size() - 1);
    slots_[at] = number;
  }

  template <class HashOf>
  void grow(std::size_t least, HashOf hash_of) {
    std::size_t size = 16;
    while (size < least)
      size *= 2;
    std::vector<std::uint32_t> old(size, none);
    old.swap(slots_);
    for (const std::uint32_t number : old)
      if (number != none)
        place(number, hash_of(number));
  }

  std::vector<std::uint32_t> slots_;
  std::size_t used_ = 0;
};

} // namespace veranda::logic
