#include "actors/system/real_system.hpp"

#include "actors/common/guard.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <chrono>
#include <thread>

namespace veranda {

namespace {

using time_point = std::chrono::steady_clock::time_point;

template <class Handle>
void await_end(caf::scoped_actor& self, Handle& handle, time_point deadline) {
  self->monitor(handle);
  const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration{std::chrono::milliseconds{100}});
  self->receive([](const caf::down_msg&) {}, caf::after(std::chrono::duration_cast<std::chrono::milliseconds>(left)) >> [] {});
  handle = nullptr;
}

/// Ends an actor at once, `wake` taking it out of whatever it waits for, and waits for its end until the deadline.
template <class Handle>
void stop(caf::scoped_actor& self, Handle& handle, time_point deadline, const std::function<void()>& wake = [] {}) {
  if (!handle)
    return;
  exit_now(handle, caf::exit_reason::user_shutdown);
  wake();
  await_end(self, handle, deadline);
}

/// Ends an actor after what waits in its mailbox.
template <class Handle>
void drain(caf::scoped_actor& self, Handle& handle, time_point deadline, const std::function<void()>& wake = [] {}) {
  self->send_exit(handle, caf::exit_reason::user_shutdown);
  wake();
  await_end(self, handle, deadline);
}

} // namespace

bool real_system::shut_down() {
  if (std::exchange(down_, true) || !system_)
    return clean_;
  stopping_ = true;
  const auto deadline = std::chrono::steady_clock::now() + in_force_.shutdown_deadline;
  if (api_)
    api_->stop();
  {
    caf::scoped_actor self{*system_};
    stop(self, follower_, deadline, [this] { parts_.manifests->interrupt(); });
    {
      std::lock_guard lock{watcher_mutex_}; // the follower's last word may start it
    }
    stop(self, watcher_, deadline, [this] { source_->interrupt(); });
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

void real_system::await_rest(std::size_t left, std::chrono::steady_clock::time_point deadline) {
  while (system_->registry().running() > left && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
}

} // namespace veranda
