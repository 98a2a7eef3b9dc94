#pragma once

#include "adapters/process/descriptor.hpp"
#include "messages/model/failure.hpp"

#include <string>
#include <string_view>

namespace veranda::process {

/// A file that is on no disk, for programs that take what they need from files: readable by this user only, and gone with this object or this process, however
/// that ends. Its path is good for children of this process.
class memory_file {
public:
  /// `unavailable` when there is no memory, or no descriptor.
  static result<memory_file> make(std::string_view contents);
  [[nodiscard]] std::string path() const;
  /// The first `limit` bytes of what it holds now.
  [[nodiscard]] std::string read(std::size_t limit) const;

private:
  explicit memory_file(descriptor file) : file_(std::move(file)) {}
  descriptor file_;
};

} // namespace veranda::process
