#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace veranda::git {

/// Does on a thread of its own what would keep its owner's too long: one piece after the other, in the order they came.
class side_thread {
public:
  side_thread() : thread_([this] { run(); }) {}
  side_thread(const side_thread&) = delete;
  side_thread& operator=(const side_thread&) = delete;
  /// As `clear`.
  ~side_thread();

  /// `work` must not throw.
  void add(std::function<void()> work);
  /// Drops what has not begun, and waits for the end of what has.
  void clear();

private:
  void run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool working_ = false;
  bool ending_ = false;
  std::thread thread_; ///< last: it uses the others
};

} // namespace veranda::git
