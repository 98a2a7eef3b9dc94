#pragma once

#include "adapters/api/guard.hpp"
#include "adapters/api/handler.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace veranda::api::net_detail {

/// What the server may ask of an open connection, from any thread.
class connection {
public:
  virtual ~connection() = default;
  virtual void wake() = 0;
  virtual void close() = 0;
};

/// Counts itself while it lives.
class counted {
public:
  explicit counted(std::atomic<std::size_t>& count) : count_(count) { ++count_; }
  ~counted() { --count_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

private:
  std::atomic<std::size_t>& count_;
};

/// What all connections share. Outlives them; see the order of destruction in `beast_server`.
class server_core {
  // First, so that they are destroyed last: connections that die with the threads' queues still leave.
  mutable std::mutex mutex_;
  std::unordered_map<const connection*, std::weak_ptr<connection>> connections_;

public:
  server_core(const api_settings& s, api_dependencies d)
      : settings(s), log(d.log), handler(std::move(d)), gate(s.address, s.host_names, s.token) {}

  /// Counts a connection; false when there are too many.
  bool enter(const std::shared_ptr<connection>& c) {
    const std::lock_guard lock{mutex_};
    if (connections_.size() >= settings.max_connections)
      return false;
    connections_.emplace(c.get(), c);
    return true;
  }
  void leave(const connection* c) {
    const std::lock_guard lock{mutex_};
    connections_.erase(c);
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock{mutex_};
    return connections_.size();
  }
  /// Those alive now; called without the lock, so that `f` may do anything.
  template <class F>
  void for_each(const F& f) const {
    std::vector<std::shared_ptr<connection>> alive;
    {
      const std::lock_guard lock{mutex_};
      for (const auto& [_, weak] : connections_)
        if (auto c = weak.lock())
          alive.push_back(std::move(c));
    }
    for (const auto& c : alive)
      f(*c);
  }

  const api_settings settings;
  const std::function<void(const std::string&)> log;
  request_handler handler;
  const guard gate;
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> watches{0};
  std::atomic<std::uint64_t> requests{0};
  boost::asio::io_context io;
  boost::asio::thread_pool readers{2}; ///< requests that block on disk
  boost::asio::thread_pool callers{2}; ///< requests that may wait for an actor
};

} // namespace veranda::api::net_detail
