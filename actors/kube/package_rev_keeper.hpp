#pragma once

#include "actors/common/env.hpp"
#include "actors/common/package_rev_telemetry.hpp"
#include "actors/kube/package_rev_feed.hpp"
#include "adapters/kube/collection_follower.hpp"
#include "messages/package_revs.hpp"

#include <map>
#include <random>

namespace veranda {

struct package_rev_keeper_deps {
  runtime_env env;
  std::shared_ptr<package_rev_telemetry> telemetry; ///< may be null
  std::shared_ptr<kube::api_client> client; ///< driven by this actor alone
  package_rev_feed::opener open_cache;
  kube::package_rev_owner owner = kube::package_rev_owner::repository;
  std::vector<std::string> namespaces; ///< empty: all
  logic::package_rev_policy policy = {};
  logic::reflector_policy following = {};
  std::chrono::milliseconds slice{250}; ///< longest wait for the API server before the cache is looked at
  std::chrono::milliseconds rest{0};    ///< between slices; for tests, whose clients do not wait
  std::chrono::milliseconds expulsion_patience{10'000}; ///< before whoever waits for the end of a repository's objects hears what keeps them
  std::function<bool()> may_begin = {}; ///< nothing is read or written before it says so once, as by one who stands by; empty: at once
  /// Told on the actor's thread why objects cannot be followed or written, in one line, and when they are (empty).
  std::function<void(const std::string& problem)> problem = {};
};

struct package_rev_keeper_state {
  using time = std::chrono::steady_clock::time_point;
  static constexpr const char* name = "package-rev-keeper";
  package_rev_keeper_deps deps;
  cell_ptr cell;
  std::unique_ptr<logic::package_rev_machine> machine;
  std::unique_ptr<package_rev_feed> feed;
  std::vector<std::unique_ptr<kube::collection_follower>> followers;
  std::unique_ptr<kube::object_decoder> decoder;
  std::mt19937_64 rng;
  struct expulsion {
    object_key repository;
    time asked{};
    caf::typed_response_promise<bool> promise;
  };
  std::vector<expulsion> expulsions;
  std::vector<caf::typed_response_promise<bool>> waiting; ///< for everything to be in step
  bool begun = false;
  bool cache_read = false; ///< up to its end, in the last slice
  std::optional<time> cache_due; ///< when it is tried again after a failure
  std::uint32_t cache_failures = 0;
  std::optional<time> behind_since;
  std::optional<package_rev_counts> shown;
  std::uint64_t written = 0;
  std::uint64_t reads = 0;
  std::optional<std::string> said; ///< why objects cannot be followed; empty when they are
  std::optional<std::string> told; ///< to whoever asks whether all is well
  std::optional<failure> refused;  ///< the last write that was; nothing when none is failing
  std::shared_ptr<bool> alive = std::make_shared<bool>(true); ///< for callbacks, which may come with the client's end
  ~package_rev_keeper_state();
};

/// Mirrors the current package revisions of the cache as `PackageRev` objects (`package_rev_keeper_actor`): what a `package_rev_machine` asks for. The objects are known
/// through one list and one watch for each namespace; an object is read only after somebody else changed it under a write, or made it before. A write that fails is
/// retried, said once for each cause, and holds up no sync. Blocks on disk and in its client: spawn detached; `client->wake()` tells that the cache has changed.
package_rev_keeper_actor::behavior_type package_rev_keeper(package_rev_keeper_actor::stateful_pointer<package_rev_keeper_state> self, package_rev_keeper_deps deps);

} // namespace veranda
