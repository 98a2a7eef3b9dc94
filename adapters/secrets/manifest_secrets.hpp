#pragma once

#include "adapters/secrets/secret_source.hpp"
#include "adapters/source/manifest_directory.hpp"

#include "messages/model/time.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace veranda::secrets {

/// Which file of the manifest directory has which Secret. Thread safe: the follower of the directory replaces it, workers look things up.
class secret_files {
public:
  /// Takes over the Secrets of the state.
  void update(const source::manifest_state& state);
  [[nodiscard]] std::optional<std::string> find(const object_key& secret) const;

private:
  mutable std::mutex mutex_;
  std::map<object_key, std::string> files_;
};

struct manifest_secret_settings {
  std::filesystem::path directory;
  source::manifest_limits limits;
  /// Reads and parses one Secret; tests count.
  std::function<result<source::secret_bytes>(const std::filesystem::path&, const std::string&, const object_key&, const source::manifest_limits&)> read =
    source::read_secret;
  std::function<wall_time()> now = std::chrono::system_clock::now;
};

/// Secrets of the manifest directory. Those that were asked for are kept in memory while their file stays as it is, and nowhere else. Thread safe; blocks on
/// disk.
/// A value's trailing line ends are cut off: files and `echo` leave them. `veranda.dev/hosts` holds hosts, each with or without a port, separated by
/// commas; when it is there, credentials go to no other host.
std::unique_ptr<secret_source> open_manifest_secrets(manifest_secret_settings settings, std::shared_ptr<const secret_files> files);

} // namespace veranda::secrets
