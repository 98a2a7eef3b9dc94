#pragma once

#include "adapters/kube/collection_follower.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>

namespace veranda {

/// `secrets/v1`.
[[nodiscard]] const kube::resource_type& secret_type();
/// The actor's, in logs and dumps.
inline constexpr const char* secret_keeper_name = "secret-keeper";

struct secret_watch_options {
  std::vector<std::string> namespaces; ///< empty: all, by one watch
  logic::reflector_policy policy = {.max_objects = 200'000}; ///< with more it is as if they could not be watched
  std::uint64_t seed = 0;
};

/// Follows the metadata of Secrets, by one list and one watch for all namespaces or for each of some, from when the first Secret there is in use until none is. Contents are
/// never asked for; what is kept of a Secret is its name, uid and version. Tokens of service accounts and releases of Helm are left out. Used on its client's thread.
class secret_watch {
public:
  using time = std::chrono::steady_clock::time_point;
  /// `version` as `secrets::fetched_secret` has it; empty: it is gone.
  using on_change = std::function<void(const object_key& secret, const std::string& version)>;

  secret_watch(kube::api_client& client, secret_watch_options options) : client_(client), options_(std::move(options)) {}

  /// Secrets of this namespace are in use.
  void want(const std::string& ns);
  /// Ends what watches none of those.
  void keep(const std::function<bool(const std::string& scope)>& wanted);
  /// Takes in what has come, and says what is wrong and what is well again. `now` is the client's time, `stamp` the one that `complete_since` is to be on.
  void step(time now, time stamp, const on_change& changed);
  /// Since when every change in the namespace has been told; nothing while there is no such watch, or it is broken.
  [[nodiscard]] std::optional<time> complete_since(const std::string& ns) const;
  /// What is wrong with the first that is not well, and what to do about it; empty when there is nothing.
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] std::optional<time> due() const;
  [[nodiscard]] bool idle() const noexcept { return scopes_.empty(); }
  /// Secrets of which anything is known.
  [[nodiscard]] std::size_t size() const;

private:
  struct scope {
    std::unique_ptr<kube::collection_follower> follower;
    std::optional<time> listed;
    std::optional<std::string> said; ///< the problem that was told last; empty: that it is well
  };
  [[nodiscard]] std::string scope_of(const std::string& ns) const { return options_.namespaces.empty() ? std::string{} : ns; }
  void report(const std::string& name, scope& s);

  kube::api_client& client_;
  secret_watch_options options_;
  std::map<std::string, scope> scopes_; ///< by namespace; under no name: all
};

} // namespace veranda
