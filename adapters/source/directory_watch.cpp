#include "adapters/source/directory_watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace veranda::source {
namespace {

constexpr std::uint32_t watched = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                  IN_MOVE_SELF | IN_ONLYDIR;

/// Manifests themselves, the directory as a whole, and `..data` and its like, by which mounted ConfigMaps swap all their files at once.
bool concerns_manifests(const inotify_event& event) {
  if (event.len == 0)
    return true;
  const std::string name{static_cast<const char*>(event.name)};
  return manifest_name(name) || name.starts_with("..");
}

} // namespace

directory_watch::directory_watch(std::filesystem::path dir) : dir_(std::move(dir)), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), interrupted_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

void directory_watch::refresh() {
  struct stat s {};
  if (!inotify_ || ::stat(dir_.c_str(), &s) != 0) {
    device_ = inode_ = 0;
    return;
  }
  if (watch_ >= 0 && s.st_dev == device_ && s.st_ino == inode_)
    return;
  const int next = ::inotify_add_watch(inotify_.get(), dir_.c_str(), watched);
  if (watch_ >= 0 && watch_ != next)
    ::inotify_rm_watch(inotify_.get(), watch_);
  watch_ = next;
  device_ = next < 0 ? 0 : s.st_dev;
  inode_ = next < 0 ? 0 : s.st_ino;
}

bool directory_watch::read_events() {
  alignas(inotify_event) std::array<char, 16384> buffer{};
  bool concerned = false;
  for (;;) {
    const auto n = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (n <= 0)
      return concerned;
    for (std::ptrdiff_t at = 0; at < n;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(buffer.data() + at);
      if ((event.mask & IN_IGNORED) != 0U && event.wd == watch_)
        watch_ = -1; // the directory is gone; refresh() looks for its successor
      concerned = concerned || concerns_manifests(event);
      at += static_cast<std::ptrdiff_t>(sizeof(inotify_event) + event.len);
    }
  }
}

bool directory_watch::wait(std::chrono::milliseconds wait) {
  const auto deadline = std::chrono::steady_clock::now() + wait;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    std::array<pollfd, 2> fds{{{inotify_.get(), POLLIN, 0}, {interrupted_.get(), POLLIN, 0}}}; // negative descriptors are ignored: poll only waits
    const int ready = ::poll(fds.data(), fds.size(), ms);
    if (ready > 0 && fds[1].revents != 0)
      return false;
    if (ready > 0 && read_events())
      return true;
    if (std::chrono::steady_clock::now() >= deadline)
      return false;
  }
}

void directory_watch::interrupt() {
  static_cast<void>(::eventfd_write(interrupted_.get(), 1)); // it stays readable
}

void directory_watch::drain() {
  if (inotify_)
    static_cast<void>(read_events());
}

} // namespace veranda::source
