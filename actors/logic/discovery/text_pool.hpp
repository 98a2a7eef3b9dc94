#pragma once

#include "actors/logic/discovery/flat_index.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace veranda::logic {

/// Number of a text in a `text_pool`. Equal texts have equal numbers; 0 is the empty text.
using text_id = std::uint32_t;

/// Texts kept once each, one after the other in one string.
class text_pool {
public:
  /// More than this is not held: `intern` answers `none`.
  static constexpr std::size_t max_bytes = 256U << 20U;

  struct span {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::uint32_t hash = 0;
  };

  text_pool();

  [[nodiscard]] text_id intern(std::string_view text);
  /// The number of a text that is held, or `none`.
  [[nodiscard]] text_id find(std::string_view text) const noexcept;
  /// Valid until the next `intern`.
  [[nodiscard]] std::string_view operator[](text_id id) const noexcept { return {bytes_.data() + spans_[id].offset, spans_[id].size}; }
  [[nodiscard]] std::size_t size() const noexcept { return spans_.size(); }

  /// The two parts of an image of the pool.
  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<span>& spans() const noexcept { return spans_; }
  /// Takes an image; false when it does not hold together (the pool is then unusable).
  [[nodiscard]] bool adopt(std::string bytes, std::vector<span> spans);

private:
  std::string bytes_;
  std::vector<span> spans_;
  flat_index index_;
};

/// Fast 64-bit hash of bytes, the same on every little-endian machine. Guards against damage, not against forgery.
[[nodiscard]] std::uint64_t hash_bytes(std::string_view text) noexcept;

} // namespace veranda::logic
