#pragma once

#include "messages/model/failure.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace veranda::git {

/// Replaces a file by rename, on disk when it returns. Failures: `unavailable` (full disk, no permission), naming the file.
result<void> replace_file(const std::filesystem::path& path, std::string_view contents);
/// The whole file; nothing when there is none. `unavailable` when it cannot be read.
result<std::optional<std::string>> read_file(const std::filesystem::path& path);
/// Brings a file or directory to the disk.
result<void> sync_path(const std::filesystem::path& path);
/// The failure for an operating system error about a path.
[[nodiscard]] failure file_failure(std::string_view action, const std::filesystem::path& path, int error);

} // namespace veranda::git
