#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace veranda::test {

/// A port of 127.0.0.1 at which nobody listens: who connects is refused. It stays bound, so that nobody else is given it, as listener or as client; one server
/// that sets SO_REUSEADDR may listen on it all the same.
class closed_port {
public:
  closed_port() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no free port");
    number_ = ntohs(address.sin_port);
  }
  closed_port(const closed_port&) = delete;
  closed_port& operator=(const closed_port&) = delete;
  ~closed_port() { ::close(fd_); }

  [[nodiscard]] int number() const noexcept { return number_; }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(number_); }

private:
  int fd_;
  int number_ = 0;
};

} // namespace veranda::test
