#pragma once

#include "actors/common/env.hpp"
#include "adapters/kube/api_client.hpp"
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
  std::chrono::milliseconds young{5'000};         ///< a Secret that was read this long ago is not read again
  std::chrono::milliseconds bundle_young{60'000}; ///< a CA bundle
  std::chrono::milliseconds recheck{10'000};      ///< how often those are read that were refused
  std::size_t rechecked_at_once = 50;             ///< of those, the rest comes the next time
  std::size_t max_refused = 10'000;
  std::chrono::milliseconds timeout{15'000}; ///< of one get
  std::chrono::milliseconds slice{100};
};

struct kube_secrets_state {
  static constexpr const char* name = "secret-keeper";
  /// Somebody who waits for several Secrets.
  struct waiter {
    caf::typed_response_promise<bool> promise;
    std::size_t left = 0;
  };
  kube_secrets_deps deps;
  cell_ptr cell;
  supervisor_actor follower;
  std::map<object_key, std::vector<std::shared_ptr<waiter>>> fetching;
  std::map<object_key, std::string> refused; ///< and their versions then
  object_key rechecked;                      ///< the last one that was looked at again
  std::map<std::string, std::string> said;   ///< by namespace: the failure that was last logged
  bool recheck_armed = false;
  bool driving = false;
  std::uint64_t fetched = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true); ///< for callbacks, which may come with the client's end
};

/// Reads Secrets of an API server with `get` alone, one request for all who ask for the same, and puts them where they are resolved from. Those that a remote refused, or
/// that are missing, are read again every few seconds: once one is another, who uses it syncs. Own thread: it blocks in slices while something is under way; wake the
/// client after sending.
kube_secrets_actor::behavior_type kube_secrets(kube_secrets_actor::stateful_pointer<kube_secrets_state> self, kube_secrets_deps deps);

} // namespace veranda
