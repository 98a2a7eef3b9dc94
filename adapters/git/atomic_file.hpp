#pragma once

#include "messages/model/failure.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace veranda::git {

/// What a file that was replaced is after a power cut: the new one; the old or the new one; one of these, or damaged.
enum class durability : std::uint8_t { on_disk, whole, eventual };
/// Replaces a file by rename. Failures: `unavailable` (full disk, no permission), naming the file.
result<void> replace_file(const std::filesystem::path& path, std::string_view contents, durability wanted = durability::on_disk);
/// The whole file; nothing when there is none. `unavailable` when it cannot be read.
result<std::optional<std::string>> read_file(const std::filesystem::path& path);
/// Brings a file or directory to the disk.
result<void> sync_path(const std::filesystem::path& path);
/// The failure for an operating system error about a path.
[[nodiscard]] failure file_failure(std::string_view action, const std::filesystem::path& path, int error);

} // namespace veranda::git
