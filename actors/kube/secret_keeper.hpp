#pragma once

#include "actors/common/env.hpp"
#include "actors/kube/secret_watch.hpp"
#include "actors/logic/secret_ledger.hpp"
#include "adapters/secrets/fetched_secrets.hpp"
#include "messages/actor_handles.hpp"

#include <map>

namespace veranda {

/// `secret_keeper_actor` with timers of its own.
using kube_secrets_actor = secret_keeper_actor::extend<caf::reacts_to<msg::continue_transfers>, caf::reacts_to<msg::recheck_secrets>>; // INTERNAL

struct kube_secrets_deps {
  runtime_env env;
  std::shared_ptr<kube::api_client> client; ///< driven by this actor alone
  std::shared_ptr<secrets::fetched_secrets> secrets;
  std::optional<secret_watch_options> watch = {}; ///< nothing: Secrets are read before each use
  /// Told on the actor's thread why Secrets cannot be watched, in one line, and when they are (empty).
  std::function<void(const std::string& problem)> problem = {};
  std::chrono::milliseconds young{5'000};         ///< a Secret that was read this long ago is not read again
  std::chrono::milliseconds bundle_young{60'000}; ///< a CA bundle
  std::chrono::milliseconds recheck{10'000};      ///< how often those are read that were refused
  std::size_t read_at_once = 50;             ///< of those, and of those that changed; the rest comes later
  std::chrono::milliseconds timeout{15'000}; ///< of one get
  std::chrono::milliseconds slice{250};
  std::chrono::milliseconds rest{0}; ///< between slices of a watch; for tests, whose clients do not wait
};

struct kube_secrets_state {
  static constexpr const char* name = secret_keeper_name;
  /// Somebody who waits for several Secrets.
  struct waiter {
    caf::typed_response_promise<bool> promise;
    std::size_t left = 0;
  };
  kube_secrets_deps deps;
  cell_ptr cell;
  supervisor_actor follower;
  logic::secret_ledger ledger;
  std::unique_ptr<secret_watch> watch; ///< null: none is wanted
  std::map<object_key, std::vector<std::shared_ptr<waiter>>> fetching;
  std::map<std::string, std::string> said;   ///< by namespace: the failure that was last logged
  std::optional<std::string> told_problem;   ///< of the watch
  bool recheck_armed = false;
  bool driving = false;
  std::uint64_t fetched = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true); ///< for callbacks, which may come with the client's end
  ~kube_secrets_state();
};

/// Reads Secrets of an API server, one request for all who ask for the same, and puts them where they are resolved from; overwrites them when no remote uses them any more.
/// When each is read a `secret_ledger` says: before each use, and every few seconds those that a remote refused or that are missing; or, with a watch that is complete, when it
/// has changed. Once one is another, who uses it syncs. Own thread: it blocks in slices while something is under way; wake the client after sending.
kube_secrets_actor::behavior_type kube_secrets(kube_secrets_actor::stateful_pointer<kube_secrets_state> self, kube_secrets_deps deps);

} // namespace veranda
