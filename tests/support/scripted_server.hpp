#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace veranda::test {

/// A small HTTP server on a free port of `at` that answers what a test tells it to. The handler gets the head and body of a request and returns the raw
/// bytes of the answer; an empty string means: never answer. Connections are kept as long as the client keeps them.
class scripted_server {
public:
  using handler = std::function<std::string(const std::string& request)>;
  explicit scripted_server(handler answer, const char* at = "127.0.0.1") : answer_(std::move(answer)), at_(at), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, at, &address.sin_addr);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port for the scripted server");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread{[this] { accept_all(); }};
  }
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;
  ~scripted_server() {
    stop_ = true;
    acceptor_.join();
    for (auto& t : connections_) t.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string url(const std::string& path = "/repo", const std::string& host = {}) const {
    return "http://" + (host.empty() ? at_ : host) + ":" + std::to_string(port_) + path;
  }
  /// All requests so far.
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  /// An HTTP answer with its length.
  static std::string reply(const std::string& status, const std::string& type, const std::string& body, const std::string& more_headers = {}) {
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body;
  }

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
      if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) connections_.emplace_back([this, fd] { serve(fd); });
  }
  static std::size_t body_size(const std::string& head) {
    const auto at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }
  void serve(int fd) {
    std::string received;
    while (readable(fd)) {
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
      const auto answer = answer_(std::exchange(received, {}));
      ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (!answer.empty() && answer.find("Content-Length") == std::string::npos) break;
    }
    ::close(fd);
  }
  handler answer_;
  std::string at_;
  int listener_;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

} // namespace veranda::test
