#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace veranda::test {

/// An HTTP/1.1 server on a free port of `at` that leaves every byte to the test: answers may come in pieces, slowly, cut, or never. One thread per connection.
class stream_server {
public:
  /// One connection, as seen by the handler.
  class peer {
  public:
    peer(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}
    /// False when the other side is gone.
    bool send(const std::string& bytes) {
      for (std::size_t at = 0; at < bytes.size();) {
        pollfd polled{fd_, POLLOUT, 0};
        if (stop_) return false;
        if (::poll(&polled, 1, 20) <= 0) continue;
        const auto n = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n <= 0) return false;
        at += static_cast<std::size_t>(n);
        sent += static_cast<std::size_t>(n);
      }
      return true;
    }
    bool chunk(const std::string& bytes) {
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
      return send(size + bytes + "\r\n");
    }
    /// Until the other side closes, or the server ends.
    void wait_until_gone() {
      while (!stop_) {
        pollfd polled{fd_, POLLIN, 0};
        char byte = 0;
        if (::poll(&polled, 1, 20) > 0 && ::recv(fd_, &byte, 1, 0) <= 0) return;
      }
    }
    [[nodiscard]] bool gone() const {
      char byte = 0;
      return stop_ || ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }
    [[nodiscard]] bool stopping() const { return stop_; }
    void close_after() { open = false; }
    std::atomic<std::size_t> sent{0};
    bool open = true;

  private:
    int fd_;
    const std::atomic<bool>& stop_;
  };
  using handler = std::function<void(const std::string& request, peer&)>;

  explicit stream_server(handler answer, const char* at = "127.0.0.1") : answer_(std::move(answer)), at_(at), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, at, &address.sin_addr);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port for the stream server");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread{[this] { accept_all(); }};
  }
  stream_server(const stream_server&) = delete;
  stream_server& operator=(const stream_server&) = delete;
  ~stream_server() {
    stop_ = true;
    acceptor_.join();
    for (auto& t : connections_) t.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string url(const std::string& host = {}) const { return "http://" + (host.empty() ? at_ : host) + ":" + std::to_string(port_); }
  /// All requests so far.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  [[nodiscard]] std::size_t connections() const { return accepted_; }

  /// An answer with its length.
  static std::string reply(const std::string& status, const std::string& body, const std::string& more_headers = {}, const std::string& type = "application/json") {
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body;
  }
  /// The head of a chunked stream.
  static std::string stream_head(const std::string& type = "application/json") { return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nTransfer-Encoding: chunked\r\n\r\n"; }

private:
  bool readable(int fd) const {
    while (!stop_) {
      pollfd polled{fd, POLLIN, 0};
      if (::poll(&polled, 1, 20) > 0) return true;
    }
    return false;
  }
  void accept_all() {
    while (readable(listener_))
      if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) {
        ++accepted_;
        connections_.emplace_back([this, fd] { serve(fd); });
      }
  }
  static std::size_t body_size(const std::string& head) {
    const auto at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }
  void serve(int fd) {
    peer p{fd, stop_};
    std::string received;
    while (p.open && readable(fd)) {
      char buffer[4096];
      const auto n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      received.append(buffer, static_cast<std::size_t>(n));
      const auto end = received.find("\r\n\r\n");
      if (end == std::string::npos || received.size() < end + 4 + body_size(received.substr(0, end))) continue;
      {
        const std::lock_guard lock{mutex_};
        requests_.push_back(received);
      }
      answer_(received, p);
      received.clear();
    }
    ::shutdown(fd, SHUT_RDWR);
    ::close(fd);
  }

  handler answer_;
  std::string at_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<std::size_t> accepted_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::list<std::thread> connections_;
  std::thread acceptor_;
};

} // namespace veranda::test
