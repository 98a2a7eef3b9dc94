#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace veranda::kube {

/// Cuts a stream into lines. Pure.
class line_splitter {
public:
  explicit line_splitter(std::size_t max_line_bytes) : max_(max_line_bytes) {}

  /// Calls `take(std::string)` for each line that is complete, without its end; blank ones are left out. False when a line is longer than allowed: then the
  /// splitter is of no more use.
  template <class Take>
  [[nodiscard]] bool feed(std::string_view bytes, Take&& take) {
    for (;;) {
      const auto end = bytes.find('\n');
      const auto piece = bytes.substr(0, end);
      if (pending_.size() + piece.size() > max_) return false;
      pending_.append(piece);
      if (end == std::string_view::npos) return true;
      bytes.remove_prefix(end + 1);
      if (pending_.find_first_not_of(" \t\r") != std::string::npos) take(std::exchange(pending_, {}));
      else pending_.clear();
    }
  }
  /// Bytes of a line that is not complete.
  [[nodiscard]] std::size_t pending_bytes() const noexcept { return pending_.size(); }

private:
  std::size_t max_;
  std::string pending_;
};

} // namespace veranda::kube
