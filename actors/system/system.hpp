#pragma once

#include "actors/common/env.hpp"
#include "actors/common/metric_telemetry.hpp"
#include "actors/supervisor/supervisor.hpp"
#include "adapters/api/api_server.hpp"
#include "adapters/source/manifest_directory.hpp"
#include "config/settings/settings.hpp"

#include <atomic>
#include <filesystem>

namespace veranda {

/// What a daemon tells its surroundings besides logs.
struct system_hooks {
  /// An actor that the process cannot live without ended unexpectedly. Called once, from any thread: the process should drain and exit 70.
  std::function<void(const std::string& kind)> fatal;
  /// This process led and must not any more: it is to end at once, without bringing anything to an end. Called once, from any thread; should not return.
  std::function<void(const object_key& lease, const failure& why)> leadership_lost;
};

/// The composition root: opens the stores, builds the tree of actors over the real adapters, and takes it down in order. Not thread safe; one per process.
class running_system {
public:
  virtual ~running_system() = default; ///< shuts down when that has not been done
  /// Port of the API, 0 with `--once`.
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  /// Waits until every repository that is not suspended has finished one sync and its status is written; nothing when `give_up` says so. Blocks.
  virtual std::optional<msg::first_syncs> wait_first_syncs(const std::function<bool()>& give_up) = 0;
  /// Problems of the manifest directory as of now. Thread safe.
  [[nodiscard]] virtual std::vector<source::manifest_problem> manifest_problems() const = 0;
  /// A reader of the object store, for the table of `--once`.
  virtual result<std::unique_ptr<store::object_store_reader>> open_objects() const = 0;
  virtual result<std::unique_ptr<store::package_cache_reader>> open_cache() const = 0;
  [[nodiscard]] virtual const cell_registry& cells() const = 0;
  /// What `/readyz` says, but for the data directory, which lies on a disk that may hang. Never blocks. Thread safe.
  [[nodiscard]] virtual api::probe ready() const = 0;
  /// True when this process led, was not told to stop, and the time that it may lead is over: it is to end at once. Thread safe.
  [[nodiscard]] virtual bool leadership_lapsed() const = 0;
  /// Takes in the settings that can change while it runs, and certificates; names those that need a restart. Called by one thread.
  virtual void reload(const config::settings& settings) = 0;
  /// Stops in order within the settings' deadline: intake, repositories, jobs, status, stores, API. Blocks. False when an actor did not end in time (it hangs in a
  /// call): nothing that it may use is torn down then, and the process must end without destructors (`_exit`).
  virtual bool shut_down() = 0;
};

/// Starts everything. Failures: `conflict` (the data directory is in use), `unsupported` (a newer store), `unavailable`, `invalid_spec`.
result<std::unique_ptr<running_system>> start_system(const config::settings& settings, system_hooks hooks);

} // namespace veranda
