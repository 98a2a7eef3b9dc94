#pragma once

#include "messages/model/failure.hpp"

#include <cstdint>
#include <string>

namespace veranda::source {

/// What tells one state of a file from another without reading it.
struct file_signature {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0; ///< ctime: programs cannot set it
  bool operator==(const file_signature&) const = default;
};

struct file_text {
  std::string text;
  file_signature signature;
  bool readable_by_others = false; ///< by every user of this machine, as far as the modes of the file and of the directories above `directory` say
};

/// Signature of `name` in the directory, symlinks followed. `not_found`, `unavailable`; `unsupported` when it is no regular file.
[[nodiscard]] result<file_signature> stat_file(int directory, const std::string& name);
/// Reads the whole file. As above, and `too_large`, and `conflict` when it was written to meanwhile. Never waits for another process.
[[nodiscard]] result<file_text> read_file(int directory, const std::string& name, std::uint64_t max_bytes);
/// `.yaml`, `.yml` and `.json`, but no dotfiles and no names that are not printable UTF-8 (they go into annotations).
[[nodiscard]] bool manifest_name(const std::string& name) noexcept;

} // namespace veranda::source
