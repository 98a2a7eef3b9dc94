#pragma once

#include "actors/common/env.hpp"
#include "adapters/kube/api_client.hpp"
#include "adapters/kube/known_objects.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "messages/actor_handles.hpp"

#include <deque>
#include <map>

namespace veranda {

/// `finalizer_keeper_actor` with a timer of its own.
using kube_finalizers_actor = finalizer_keeper_actor::extend<caf::reacts_to<msg::continue_transfers>>; // INTERNAL

struct kube_finalizers_deps {
  runtime_env env;
  std::shared_ptr<kube::api_client> client; ///< driven by this actor alone
  std::shared_ptr<kube::known_objects> known; ///< hears of what was written
  kube::resource_type type = kube::repositories();
  std::string finalizer{api_names::repository_finalizer};
  unsigned max_tries = 5; ///< of one change against others who write the same object
  std::chrono::milliseconds slice{100};
};

struct kube_finalizers_state {
  static constexpr const char* name = "finalizer-keeper";
  kube_finalizers_deps deps;
  cell_ptr cell;
  std::unique_ptr<kube::object_decoder> decoder;
  std::map<std::string, std::deque<std::function<void()>>> busy; ///< by uid: objects with a change under way, and those that wait for its end
  std::size_t changing = 0;
  std::uint64_t changed = 0;
  std::map<std::string, std::string> said; ///< by namespace: the code of the failure that was logged last
  bool driving = false;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true); ///< for callbacks, which may come with the client's end
  ~kube_finalizers_state();
};

/// Sets and takes away the finalizer on objects of an API server: the whole list is written, under uid and version, so that those of others stay. Setting tries with what was
/// seen; then, and to take it away, the object is read first. Changes of one object are made one at a time, in the order in which they were asked for: the last one holds. Failures are the API server's; `throttled` when others keep writing the object. Own thread: it blocks in
/// slices while something is under way; wake the client after sending.
kube_finalizers_actor::behavior_type kube_finalizers(kube_finalizers_actor::stateful_pointer<kube_finalizers_state> self, kube_finalizers_deps deps);

} // namespace veranda
