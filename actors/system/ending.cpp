#include "actors/system/real_system.hpp"

#include "actors/common/guard.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <chrono>
#include <thread>

namespace veranda {

namespace {

using time_point = std::chrono::steady_clock::time_point;

/// Whether it ended by the deadline.
template <class Handle>
bool await_end(caf::scoped_actor& self, const Handle& handle, time_point deadline) {
  self->monitor(handle);
  const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration{std::chrono::milliseconds{100}});
  bool ended = false;
  self->receive([&](const caf::down_msg&) { ended = true; }, caf::after(std::chrono::duration_cast<std::chrono::milliseconds>(left)) >> [] {});
  self->demonitor(handle->address());
  return ended;
}

/// Ends an actor at once, `wake` taking it out of whatever it waits for, and waits for its end until the deadline.
template <class Handle>
void stop(caf::scoped_actor& self, Handle& handle, time_point deadline, const std::function<void()>& wake = [] {}) {
  if (!handle)
    return;
  exit_now(handle, caf::exit_reason::kill);
  wake();
  await_end(self, handle, deadline);
  handle = nullptr;
}

/// Ends an actor after what waits in its mailbox.
template <class Handle>
void drain(caf::scoped_actor& self, Handle& handle, time_point deadline, const std::function<void()>& wake = [] {}) {
  self->send_exit(handle, caf::exit_reason::user_shutdown);
  wake();
  await_end(self, handle, deadline);
  handle = nullptr;
}

} // namespace

bool real_system::shut_down() {
  if (std::exchange(down_, true) || !system_)
    return clean_;
  stopping_ = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto deadline = begin + in_force_.shutdown_deadline;
  if (api_)
    api_->stop();
  {
    caf::scoped_actor self{*system_};
    stop(self, follower_, deadline, [this] { parts_.manifests->interrupt(); });
    {
      std::lock_guard lock{watcher_mutex_}; // the follower's last word may start it
    }
    stop(self, watcher_, deadline, [this] { source_->interrupt(); });
    finish_syncs(self, begin + in_force_.shutdown_deadline * 3 / 4);
    stop(self, supervisor_, deadline);
    stop(self, hosts_, deadline);
    stop(self, pool_, deadline);
    stop(self, listers_, deadline);
    stop(self, distant_listers_, deadline);
    stop(self, secret_keeper_, deadline, [this] { parts_.kube->secret_reader()->wake(); });
    stop(self, finalizers_, deadline, [this] { parts_.kube->finalizers()->wake(); });
    stop(self, package_revs_, deadline, [this] { parts_.kube->package_revs()->wake(); });
    flush_status(self);
    stop(self, status_, deadline);
    stop(self, http_, deadline, [this] { parts_.listings->wake(); });
    tools_.set({}); // they know the cache
    drain(self, cache_, deadline);
    drain(self, object_store_, deadline);
  }
  *commit_target_ = nullptr;
  await_rest(lease_keeper_ ? 1 : 0, deadline); // workers end after their pool
  if (lease_keeper_ && system_->registry().running() <= 1) { // with anything at work still, the Lease must run out
    caf::scoped_actor self{*system_};
    drain(self, lease_keeper_, deadline, [this] { election_client_->wake(); });
  }
  await_rest(0, deadline);
  clean_ = system_->registry().running() == 0;
  if (!clean_) {
    log::warn("system", "some actors did not end within the deadline; exiting without them");
    return false;
  }
  api_.reset();
  system_.reset();
  return true;
}

/// What works on a mirror comes to its end; nothing else is waited for, nothing begins.
void real_system::finish_syncs(caf::scoped_actor& self, time_point until) {
  if (crippled_ || !supervisor_)
    return;
  exit_now(pool_, caf::exit_reason::user_shutdown);
  exit_now(supervisor_, caf::exit_reason::user_shutdown);
  if (!await_end(self, supervisor_, until))
    log::warn("system", "syncs did not end in time and are stopped; they are run at the next start");
}

void real_system::await_rest(std::size_t left, std::chrono::steady_clock::time_point deadline) {
  while (system_->registry().running() > left && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
}

} // namespace veranda
