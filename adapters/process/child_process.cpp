#include "adapters/process/child_process.hpp"

#include "adapters/process/descriptor.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace veranda::process {

namespace {

constexpr int poll_slice_ms = 50;
constexpr std::size_t read_bytes = 256U << 10U;
constexpr int pipe_bytes = 1 << 20;

failure system_failure(std::string_view action, int error) {
  return {ec::unavailable, std::string{action} + ": " + std::strerror(error), {}, {}, {}};
}

/// Our ends and the child's ends of its three streams. Input is a socket, so that writing to a dead child is an error and no signal.
struct stream_set {
  descriptor input, output, errors;
  descriptor child_input, child_output, child_errors;

  result<void> open() {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return system_failure("no socket for a child process", errno);
    input = descriptor{pair[0]};
    child_input = descriptor{pair[1]};
    for (auto [ours, theirs] : {std::pair{&output, &child_output}, std::pair{&errors, &child_errors}}) {
      if (::pipe2(pair, O_CLOEXEC) != 0) return system_failure("no pipe for a child process", errno);
      *ours = descriptor{pair[0]};
      *theirs = descriptor{pair[1]};
    }
    for (const auto* d : {&input, &output, &errors}) ::fcntl(d->get(), F_SETFL, O_NONBLOCK);
    ::fcntl(output.get(), F_SETPIPE_SZ, pipe_bytes); // a courtesy: smaller pipes work too
    return {};
  }
  void close_child_ends() {
    child_input.close();
    child_output.close();
    child_errors.close();
  }
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const auto& w : words) out.push_back(const_cast<char*>(w.c_str())); // posix_spawn does not write to them
  out.push_back(nullptr);
  return out;
}

result<pid_t> spawn(const child_command& command, const stream_set& streams) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, streams.child_input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, streams.child_output.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, streams.child_errors.get(), 2);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const auto arguments = pointers(command.arguments);
  const auto environment = pointers(command.environment);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environment.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return system_failure("the program `" + command.arguments.front() + "` cannot be started; install it or mend PATH", error);
  return pid;
}

/// One running child; killed with its group and reaped when it goes out of scope.
class running_child {
public:
  running_child(pid_t pid, stream_set streams, const child_command& command)
      : pid_(pid), streams_(std::move(streams)), unsent_(command.input), speech_(command.said), max_errors_(command.max_error_bytes), buffer_(new char[read_bytes]) {}
  running_child(const running_child&) = delete;
  running_child& operator=(const running_child&) = delete;
  ~running_child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    wait(0);
  }

  /// Moves bytes until all streams have ended.
  result<void> pump(const std::function<result<void>(std::string_view)>& sink, const std::function<result<void>()>& interrupted) {
    while (streams_.output.open() || streams_.errors.open()) {
      take_speech();
      if (unsent_.empty() && (speech_ == nullptr || speech_->ended)) streams_.input.close();
      pollfd polled[] = {{unsent_.empty() ? -1 : streams_.input.get(), POLLOUT, 0}, {streams_.output.get(), POLLIN, 0}, {streams_.errors.get(), POLLIN, 0}};
      if (::poll(polled, 3, poll_slice_ms) < 0 && errno != EINTR) return system_failure("waiting for a child process failed", errno);
      if (polled[0].revents != 0) send();
      if (polled[2].revents != 0) collect_errors();
      if (polled[1].revents != 0)
        if (auto taken = receive(sink); !taken) return taken;
      if (auto go_on = interrupted(); !go_on) return go_on;
    }
    return {};
  }

  /// Waits for the end; the child closed its output already.
  result<int> finish(const std::function<result<void>()>& interrupted) {
    streams_.input.close();
    const descriptor watch{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0U))};
    while (!wait(WNOHANG)) {
      pollfd polled{watch.get(), POLLIN, 0};
      ::poll(&polled, 1, poll_slice_ms);
      if (auto go_on = interrupted(); !go_on) return std::move(go_on).error();
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  std::string take_errors() { return std::move(errors_); }

private:
  bool wait(int flags) {
    pid_t done = 0;
    do done = ::waitpid(pid_, &status_, flags);
    while (done < 0 && errno == EINTR);
    if (done == 0) return false;
    pid_ = -1;
    return true;
  }
  void take_speech() {
    if (speech_ == nullptr || !unsent_.empty() || speech_->text.empty()) return;
    sending_ = std::exchange(speech_->text, {});
    unsent_ = sending_;
  }
  void send() {
    const auto n = ::send(streams_.input.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (n >= 0) unsent_.remove_prefix(static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR) unsent_ = {}; // it reads no more; its exit says why
  }
  void collect_errors() {
    const auto n = ::read(streams_.errors.get(), buffer_.get(), read_bytes);
    if (n > 0) errors_.append(buffer_.get(), std::min(static_cast<std::size_t>(n), max_errors_ - std::min(max_errors_, errors_.size())));
    else if (n == 0 || (errno != EAGAIN && errno != EINTR)) streams_.errors.close();
  }
  result<void> receive(const std::function<result<void>(std::string_view)>& sink) {
    const auto n = ::read(streams_.output.get(), buffer_.get(), read_bytes);
    if (n > 0) return sink({buffer_.get(), static_cast<std::size_t>(n)});
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) streams_.output.close();
    return {};
  }

  pid_t pid_;
  int status_ = 0;
  stream_set streams_;
  std::string_view unsent_; ///< of the command's input, or of `sending_`
  std::string sending_;
  speech* speech_;
  std::size_t max_errors_;
  std::string errors_;
  std::unique_ptr<char[]> buffer_;
};

} // namespace

result<child_result> run_child(const child_command& command, const std::function<result<void>(std::string_view)>& sink,
                               const std::function<result<void>()>& interrupted) {
  stream_set streams;
  if (auto opened = streams.open(); !opened) return std::move(opened).error();
  auto pid = spawn(command, streams);
  if (!pid) return std::move(pid).error();
  streams.close_child_ends();
  running_child child{*pid, std::move(streams), command};
  if (auto pumped = child.pump(sink, interrupted); !pumped) return std::move(pumped).error();
  auto code = child.finish(interrupted);
  if (!code) return std::move(code).error();
  return child_result{*code, child.take_errors()};
}

} // namespace veranda::process
