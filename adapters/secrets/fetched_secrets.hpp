#pragma once

#include "adapters/secrets/secret_source.hpp"
#include "adapters/source/manifest_directory.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace veranda::secrets {

/// A Secret as a server gave it.
struct fetched_secret {
  source::secret_bytes bytes;
  std::string version; ///< differs whenever the Secret does
};

[[nodiscard]] inline std::string version_of(const std::string& uid, const std::string& resource_version) { return uid + "/" + resource_version; }
/// Reads the answer to a get of a Secret. `auth_rejected` when it is not valid, `unavailable` when it is none at all. Pure.
result<fetched_secret> read_fetched(std::string_view json, const object_key& key);

struct fetched_options {
  /// How long what is known serves while nothing newer can be had.
  std::chrono::steady_clock::duration keep_known = std::chrono::minutes{10};
  bool ca_bundles = false;               ///< namespaces may have a Secret with a CA bundle
  std::size_t max_secrets = 20'000;      ///< beyond these the one that was used longest ago goes
  std::size_t max_bytes = 64U << 20U;    ///< of all together
};

/// Secrets that somebody else fetches: resolving never waits. In memory alone; bytes that are replaced or dropped are overwritten. Thread safe.
class fetched_secrets final : public secret_source {
public:
  using time = std::chrono::steady_clock::time_point;
  explicit fetched_secrets(fetched_options options = {}, std::function<time()> now = std::chrono::steady_clock::now) : options_(options), now_(std::move(now)) {}

  /// From what was stored last. `dependency_missing`: there is no such Secret; `auth_rejected`: it is not good, or must not be read; `unavailable`: nothing is known of it
  /// yet, or nothing that is young enough to be used.
  result<credentials> resolve(const std::string& ns, const std::string& name, const std::string& host) override;

  /// How a fetch ended. One that may end better the next time leaves what is known of it. True when something else was known of it before.
  bool store(const object_key& key, result<fetched_secret> fetched);
  /// Drops what is known of it, and overwrites its bytes.
  void forget(const object_key& key);
  /// When a fetch of it last ended; nothing when none has.
  [[nodiscard]] std::optional<time> fetched_at(const object_key& key) const;
  /// Differs whenever what `resolve` says of it does, but for failures that may pass.
  [[nodiscard]] std::string version(const object_key& key) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool has_ca_bundles() const noexcept { return options_.ca_bundles; }
  /// Of the clock that `fetched_at` is on.
  [[nodiscard]] time now() const { return now_(); }

private:
  struct entry {
    std::optional<result<source::secret_bytes>> known; ///< as the server said last: its bytes, or that it is not there or of no use
    std::string version;
    std::optional<failure> passing; ///< of the last fetch
    time fetched{};
    time answered{}; ///< when `known` was fetched
    std::uint64_t used = 0;
  };
  result<source::secret_bytes> find(const object_key& key);
  static std::size_t size_of(const entry& e);
  void drop(std::map<object_key, entry>::iterator at);
  void make_room();

  const fetched_options options_;
  const std::function<time()> now_;
  mutable std::mutex mutex_;
  std::map<object_key, entry> all_;
  std::map<std::uint64_t, object_key> by_use_;
  std::uint64_t uses_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace veranda::secrets
