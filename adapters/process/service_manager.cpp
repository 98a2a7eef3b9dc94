#include "adapters/process/service_manager.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <ctime>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace veranda::process {

namespace {

constexpr std::size_t max_status_bytes = 400;

/// At most `most` bytes of UTF-8, no character cut in two: a manager drops a line that is not valid.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most)
    return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U)
    --most;
  return text.substr(0, most);
}

/// A whole positive number.
std::optional<long long> positive(const std::string& text) {
  long long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0 ? std::optional{value} : std::nullopt;
}

/// A socket that sends to `path` (with `@` in front: in Linux's abstract namespace); -1 when nothing is there.
int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof(address.sun_path) || (path.front() != '/' && path.front() != '@'))
    return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@')
    address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -1;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0)
    return fd;
  ::close(fd);
  return -1;
}

} // namespace

service_manager::service_manager(const variable_reader& variable) : socket_(connect_to(variable("NOTIFY_SOCKET"))) {
  const auto limit = positive(variable("WATCHDOG_USEC"));
  const auto process = variable("WATCHDOG_PID");
  if (listens() && limit && (process.empty() || positive(process) == getpid()))
    watchdog_ = std::chrono::microseconds{*limit};
}

service_manager::~service_manager() {
  if (socket_ >= 0)
    ::close(socket_);
}

void service_manager::ready() { send("READY=1"); }

void service_manager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now); // what Type=notify-reload compares with
  send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.tv_sec * 1'000'000LL + now.tv_nsec / 1'000));
}

void service_manager::stopping(std::chrono::microseconds within) {
  send("STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=" + std::to_string(within.count()));
}

void service_manager::status(std::string_view line) {
  std::string text{beginning(line, max_status_bytes)};
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  if (text == said_)
    return;
  send("STATUS=" + text);
  said_ = std::move(text);
}

void service_manager::alive() { send("WATCHDOG=1"); }

void service_manager::send(std::string_view lines) const {
  if (socket_ >= 0)
    (void)::send(socket_, lines.data(), lines.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace veranda::process
