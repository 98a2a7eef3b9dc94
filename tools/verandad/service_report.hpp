#pragma once

#include "actors/common/cells.hpp"
#include "adapters/api/api_server.hpp"
#include "adapters/process/service_manager.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace veranda {

/// How the daemon is, in one line for people: what keeps it from being ready, else what works but needs a look, else where it serves.
[[nodiscard]] std::string service_status(const api::probe& ready, const std::string& url);

/// Whether those who wait for the daemon to start go on: it is ready, or has been serving for a minute and waits for somebody else (an API server that is away).
/// What it waits for may need hours, it goes on by itself then, and neither a start that fails nor one that holds up the boot would help.
[[nodiscard]] bool counts_as_started(bool ready, std::chrono::nanoseconds serving_for);

/// Whether the actors that never wait for anything outside get on: none of them has been in one handler for longer than it should.
[[nodiscard]] bool gets_on(const std::vector<kind_totals>& totals);

/// Keeps the service manager informed while the daemon serves. One thread.
class service_report {
public:
  service_report(process::service_manager& manager, std::string url, steady_time begun);
  /// To be called about twice a second.
  void update(const api::probe& ready, const cell_registry& cells, steady_time now);
  /// Around a reload.
  void reloading();
  void reloaded();

private:
  process::service_manager& manager_;
  const std::string url_;
  const steady_time begun_;
  steady_time next_sign_;
  bool started_ = false;
};

} // namespace veranda
