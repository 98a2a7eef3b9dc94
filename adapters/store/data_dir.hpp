#pragma once

#include "messages/model/failure.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace veranda::store {

/// The daemon's data directory while this process has it to itself. The lock goes with the object, or with the process.
class data_dir_lock {
public:
  /// Creates the directory (0700) where needed and locks it, writing pid and start time into the file `lock`. Never waits. Failures: `conflict` naming
  /// the holder's pid; `invalid_spec` when the directory is a symbolic link, no directory, another user's, or writable by everybody;
  /// `unavailable` (disk).
  [[nodiscard]] static result<std::unique_ptr<data_dir_lock>> acquire(const std::filesystem::path& directory);
  ~data_dir_lock();
  data_dir_lock(const data_dir_lock&) = delete;
  data_dir_lock& operator=(const data_dir_lock&) = delete;

  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  /// Whether the lock is still what its path leads to: false when the directory was moved, removed or replaced under this process. Thread safe, cheap.
  [[nodiscard]] bool in_place() const noexcept;
  /// The token that requests to the API carry, from the file `token`, made at the first call: 64 hexadecimal digits.
  [[nodiscard]] result<std::string> api_token() const;
  /// The key of keyed digests of secrets, from the file `secret-digest-key`, made at the first call: 64 hexadecimal digits.
  [[nodiscard]] result<std::string> secret_digest_key() const;

private:
  data_dir_lock(std::filesystem::path directory, int file) : directory_(std::move(directory)), file_(file) {}
  std::filesystem::path directory_;
  int file_;
};

/// Name of the API token's file within the data directory, for those who only read it.
inline constexpr const char* api_token_file = "token";

/// What a file like `token` holds, without the line's end. Failures: `not_found`; `invalid_spec` when it is no plain file of this user, is
/// readable or writable by everybody, or is empty; `unavailable`. (A group may have access: Kubernetes' `fsGroup` gives it on mounted volumes.)
[[nodiscard]] result<std::string> read_secret_file(const std::filesystem::path& file);

/// The same; when there is no such file it is made, whole or not at all, with 32 random bytes in hexadecimal and mode 0600.
[[nodiscard]] result<std::string> ensure_secret_file(const std::filesystem::path& file);

} // namespace veranda::store
