#pragma once

#include "actors/logic/reflector.hpp"
#include "adapters/kube/api_client.hpp"
#include "adapters/source/repository_source.hpp"

namespace veranda::kube {

struct kube_source_options {
  std::vector<std::string> namespaces; ///< empty: all
  std::string label_selector;
  logic::reflector_policy policy;
  std::chrono::milliseconds list_deadline{std::chrono::minutes{2}};
  std::uint64_t seed = 0; ///< of waits and lifetimes
  /// Called on the source's thread when something begins to go wrong, goes wrong in another way, or is well again (nothing).
  std::function<void(const std::optional<failure>& problem)> on_problem;
  /// Called on the source's thread for each watch that ended, with the reason.
  std::function<void(logic::watch_loss how)> on_watch_lost;
  /// Called on the source's thread with each object as it came, or as it went, before that is told.
  std::function<void(const api_object& object, bool gone)> on_object;
};

/// The `repository_source` of a daemon on Kubernetes: the API server. Reconnecting, new lists and backing off happen within `poll`, which then tells only what
/// is different; it fails only before the first `list`. `list` fails at the first failure of any namespace, so that its caller backs off and says why. Positions are
/// the server's resourceVersions, for show: the source knows its own. Used by one thread; owns and drives `client`.
std::unique_ptr<source::repository_source> open_kube_source(std::unique_ptr<api_client> client, kube_source_options options);

} // namespace veranda::kube
