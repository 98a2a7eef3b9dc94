#pragma once

#include "actors/common/store_health.hpp"
#include "actors/kube/event_sender.hpp"
#include "adapters/kube/known_objects.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

/// `object_store_actor` with timers of its own.
using kube_writer_actor = object_store_actor::extend<caf::reacts_to<msg::continue_transfers>, caf::reacts_to<msg::status_retry_due>>; // INTERNAL

struct kube_writer_deps {
  runtime_env env;
  std::shared_ptr<kube::api_client> client; ///< driven by this actor alone
  std::shared_ptr<kube::known_objects> known;
  std::shared_ptr<store_health> health = std::make_shared<store_health>();
  kube::resource_type type = kube::repositories();
  unsigned max_tries = 5; ///< of one write against others who write the same object
  std::chrono::milliseconds slice{100};
  event_sender_policy events = {};
};

struct kube_writer_state {
  static constexpr const char* name = "kube-writer";
  kube_writer_deps deps;
  cell_ptr cell;
  std::unique_ptr<kube::object_decoder> decoder;
  std::unique_ptr<event_sender> events;
  std::size_t writing = 0;
  std::uint64_t written = 0;
  std::uint64_t conflicts = 0;
  bool driving = false;
  std::uint64_t sleep_epoch = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true); ///< for callbacks, which may come with the client's end
  ~kube_writer_state();
};

/// Writes statuses of Repository objects to the API server, and events about their transitions. Only `update_status` is spoken: a merge patch on `/status` that holds
/// for just the version that is known, conditions of others kept; when somebody else wrote in between, the object is read and the write made again. Failures:
/// `not_found`, the object is gone or was made anew; `unsupported`, its definition serves no status; `throttled`, others keep writing it; else what the server
/// said. Blocks in slices: spawn detached, and wake the client after sending.
kube_writer_actor::behavior_type kube_writer(kube_writer_actor::stateful_pointer<kube_writer_state> self, kube_writer_deps deps);

} // namespace veranda
