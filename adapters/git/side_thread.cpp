#include "adapters/git/side_thread.hpp"

namespace veranda::git {

side_thread::~side_thread() {
  {
    const std::lock_guard lock{mutex_};
    waiting_.clear();
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void side_thread::add(std::function<void()> work) {
  {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(work));
  }
  changed_.notify_all();
}

void side_thread::clear() {
  std::unique_lock lock{mutex_};
  waiting_.clear();
  changed_.wait(lock, [this] { return !working_; });
}

void side_thread::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    const auto work = std::move(waiting_.front());
    waiting_.pop_front();
    working_ = true;
    lock.unlock();
    work();
    lock.lock();
    working_ = false;
    changed_.notify_all();
  }
}

} // namespace veranda::git
