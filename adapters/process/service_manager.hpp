#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace veranda::process {

/// Value of an environment variable, empty when it is not set.
using variable_reader = std::function<std::string(const std::string& name)>;

/// Tells the service manager (systemd) how this process is: datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names, as sd_notify(3) documents
/// them. Without that variable every call does nothing. Never blocks: a manager that does not read misses what is said. One thread.
///
/// This is not libsystemd because that would bring five more libraries into every process and image for one `sendto`, of a protocol that its authors have
/// promised to keep and invite to implement anew.
class service_manager {
public:
  /// `variable` is asked for `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
  explicit service_manager(const variable_reader& variable);
  ~service_manager();
  service_manager(const service_manager&) = delete;
  service_manager& operator=(const service_manager&) = delete;

  /// Whether somebody is told.
  [[nodiscard]] bool listens() const noexcept { return socket_ >= 0; }
  /// How long the manager waits for a sign of life before it kills this process; nothing when it does not.
  [[nodiscard]] std::optional<std::chrono::microseconds> watchdog() const noexcept { return watchdog_; }

  /// It serves. Also the end of `reloading`.
  void ready();
  /// Settings are being read again; `ready` follows.
  void reloading();
  /// It ends, and needs at most `within` for that.
  void stopping(std::chrono::microseconds within);
  /// One line for people. Sent only when it differs from the last one.
  void status(std::string_view line);
  /// A sign of life.
  void alive();

private:
  void send(std::string_view lines) const;
  int socket_ = -1;
  std::string said_;
  std::optional<std::chrono::microseconds> watchdog_;
};

} // namespace veranda::process
