#pragma once

#include "messages/model/failure.hpp"

#include <filesystem>

namespace veranda::source {

/// A person's word, good for one time, that objects whose files went in bulk are meant to go: a file in the data directory (whoever can write there may
/// do anything anyway), which is removed when it is heeded. Used by one thread; blocks on disk.
class deletion_permit {
public:
  explicit deletion_permit(std::filesystem::path file) : file_(std::move(file)) {}
  /// Whether it was given; from then on it is not any more. A permit that cannot be removed is not heeded, so that it never counts twice: `unavailable`.
  [[nodiscard]] result<bool> take();
  /// What gives it, for people: a command.
  [[nodiscard]] std::string how() const;

private:
  std::filesystem::path file_;
};

} // namespace veranda::source
