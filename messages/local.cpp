#include "messages/local.hpp"

namespace veranda {

std::string to_string(const remote_identity& id) {
  if (id.ns.empty())
    return id.url;
  return id.url + "#" + id.ns + "/" + id.secret;
}

namespace msg {

bool content_gate::wait_for(int wanted, const cancel_token& cancel, failure& why, std::unique_lock<std::mutex>& lock) {
  while (!failed_ && credits_ < wanted) {
    if (cancel.expired()) {
      why = {cancel.reason(), "storing package contents did not finish in time", {}, {}, {}};
      return false;
    }
    changed_.wait_for(lock, std::chrono::milliseconds{50});
  }
  if (failed_) {
    why = *failed_;
    return false;
  }
  return true;
}

bool content_gate::acquire(const cancel_token& cancel, failure& why) {
  std::unique_lock lock{mutex_};
  if (!wait_for(1, cancel, why, lock))
    return false;
  --credits_;
  return true;
}

bool content_gate::drain(const cancel_token& cancel, failure& why) {
  std::unique_lock lock{mutex_};
  return wait_for(total_, cancel, why, lock);
}

void content_gate::release(const result<void>& outcome) {
  std::lock_guard lock{mutex_};
  ++credits_;
  if (!outcome && !failed_)
    failed_ = outcome.error();
  changed_.notify_all();
}

} // namespace msg
} // namespace veranda
