#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/object.hpp"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace veranda::source {

struct manifest_limits {
  std::uint64_t max_file_bytes = 4U << 20U;
  std::uint32_t max_files = 100'000;
  std::uint32_t max_documents = 100'000; ///< per file, Lists unrolled
  std::uint32_t max_depth = 64;
  std::uint32_t max_nodes = 1'000'000;   ///< after alias expansion, per file
  std::chrono::milliseconds settle_time{50};       ///< a file is read when nothing happened to it for so long
  std::chrono::milliseconds longest_settling{500}; ///< a file that never rests keeps its last good version
};

/// Something wrong in the directory, for log, metrics and `veranda get`.
struct manifest_problem {
  std::string file;     ///< relative to the directory
  int document = 0;     ///< counted from 1, 0 for the file as a whole
  std::string object;   ///< `Repository ns/name` when known
  std::string field;
  std::string value;
  std::string rule;
  auto operator<=>(const manifest_problem&) const = default;
};
[[nodiscard]] std::string describe(const manifest_problem& p);

/// One object as the files want it: only the fields that the file names.
struct manifest_object {
  std::string resource; ///< `repositories.config.porch.kpt.dev` or `secrets`
  object_key key;
  std::string file;
  int document = 0;
  std::string json; ///< namespace defaulted. For a Secret: without data and stringData, but with `veranda.dev/secret-keys` and a keyed digest in
                    ///< `veranda.dev/secret-digest` as annotations
  bool valid = true; ///< false: it breaks rules and no valid version of it was read; passed on so that its condition can say so
  bool operator==(const manifest_object&) const = default;
};

/// What the directory says now.
struct manifest_state {
  std::vector<manifest_object> objects; ///< sorted by resource and key; of a broken or invalid document the last good version
  std::vector<manifest_problem> problems; ///< sorted
  /// Files with Secrets that every user of this machine can read, with the time of their last change (ns since the epoch).
  std::map<std::string, std::int64_t> exposed_files{};
  bool directory_missing = false;
  std::vector<std::string> unreadable_files; ///< sorted; files of which something could not be read: what is missing from them was not removed
  bool incomplete = false; ///< the directory could not be listed as a whole: what is missing from it was not removed
  bool operator==(const manifest_state&) const = default;
};

/// Follows a directory of YAML and JSON manifests (`.yaml`, `.yml`, `.json`, not recursive, no dotfiles; symlinked files are followed as Kubernetes mounts
/// ConfigMaps). Several documents per file and `List` kinds. Used by one thread; blocks on disk.
class manifest_directory {
public:
  virtual ~manifest_directory() = default;
  /// Reads everything that changed since the last call (by inotify and by stat, so that a missed event heals) and answers the whole state.
  virtual manifest_state scan() = 0;
  /// Waits at most `wait` for a change; true when `scan` is worth calling. Half-written files are given `settle_time` to settle.
  virtual bool wait(std::chrono::milliseconds wait) = 0;
  /// Thread safe: the wait under way and all later ones end at once. Said when the program ends.
  virtual void interrupt() {}
};

/// `secret_key`: what Secret digests are keyed with (random, kept in the data directory).
std::unique_ptr<manifest_directory> open_manifest_directory(const std::filesystem::path& dir, const manifest_limits& limits, std::string secret_key);

/// Reads the bytes of one Secret from its file anew: the only place where they are read. `type` and decoded `data` merged with `stringData`.
/// `dependency_missing` when the file no longer has it.
struct secret_bytes {
  std::string type;
  std::map<std::string, std::string> data;
  std::map<std::string, std::string> annotations;
};
result<secret_bytes> read_secret(const std::filesystem::path& dir, const std::string& file, const object_key& key, const manifest_limits& limits);

} // namespace veranda::source
