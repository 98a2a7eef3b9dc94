#pragma once

#include "actors/api/load_json.hpp"
#include "actors/common/log.hpp"
#include "actors/kube/lease_keeper.hpp"
#include "actors/logic/admission.hpp"
#include "actors/system/adapters.hpp"
#include "actors/system/readiness.hpp"
#include "actors/system/system.hpp"
#include "actors/workers/worker.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/typed_actor.hpp>

#include <map>
#include <mutex>

namespace veranda {

/// What repositories decide by.
[[nodiscard]] logic::machine_settings machine_settings_of(const config::settings& settings);

/// How much may be done and wait at once, by whom.
struct work_limits {
  logic::admission_limits workers, listers, distant_listers, http;
};
[[nodiscard]] work_limits work_limits_of(const config::settings& settings);

/// The one `running_system`: made by system.cpp, its actors by spawning.cpp and spawning_kube.cpp, its API by serving.cpp; waiting.cpp asks them, reloading.cpp reads settings anew; ending.cpp takes
/// all down.
class real_system final : public running_system {
public:
  real_system(config::settings settings, system_hooks hooks) : settings_(std::move(settings)), hooks_(std::move(hooks)) {}
  ~real_system() override;

  /// Once. Failures as for `start_system`.
  result<void> start();

  std::uint16_t port() const override { return api_ ? api_->port() : std::uint16_t{0}; }
  const cell_registry& cells() const override { return *env_.cells; }
  api::probe ready() const override { return ready_.probe(); }
  bool leadership_lapsed() const override { return leads_ && !stopping_ && !parts_.kube->permit()->valid(); }
  std::vector<source::manifest_problem> manifest_problems() const override { return ready_.problems(); }
  result<std::unique_ptr<store::object_store_reader>> open_objects() const override { return parts_.read_objects(); }
  result<std::unique_ptr<store::package_cache_reader>> open_cache() const override { return parts_.read_cache(); }
  std::optional<msg::first_syncs> wait_first_syncs(const std::function<bool()>& give_up) override;
  void reload(const config::settings& settings) override;
  bool shut_down() override;

  /// The actors whose unexpected end ends the process, by kind. Thread safe.
  [[nodiscard]] std::map<std::string, caf::actor_addr> essentials() const {
    const std::lock_guard lock{essentials_mutex_};
    return essentials_;
  }

private:
  struct caf_config : caf::actor_system_config {
    caf_config();
  };
  using time_point = std::chrono::steady_clock::time_point;

  /// Wakes the API's watches after a commit. Thread safe.
  std::function<void()> committed();
  /// Tells everybody what changed since `before`.
  void spread_settings(const config::settings& before);
  void spawn_writers();
  void spawn_workers();
  [[nodiscard]] job_tools tools_with(const config::settings& settings);
  worker_pool_actor spawn_pool(const std::string& worker_kind, const std::string& kind, const logic::admission_limits& limits, std::chrono::milliseconds deadline);
  /// Of what only an API server has.
  void spawn_keepers();
  void spawn_supervisor();
  /// The manifests are in the object store before the first list, so that "ready" means all of them.
  result<void> spawn_readers();
  result<void> spawn_watcher();
  /// For an actor that began without anybody waiting for it.
  void spawn_watcher_or_fail();
  /// Objects are followed, and with that all work begins, once this process leads.
  void stand_for_election();
  void show_election(const election_view& view, const object_key& lease);
  /// Says why objects cannot be followed, once for each reason, and when they can again. Called by the watcher's thread alone.
  void source_problem(const std::optional<failure>& why);

  /// Its unexpected end ends the process.
  template <class Handle>
  void is_essential(const Handle& handle, const char* kind) {
    auto* const actor = caf::actor_cast<caf::abstract_actor*>(handle);
    actor->attach_functor([this, kind](const caf::error&) { must_end(kind); });
    const std::lock_guard lock{essentials_mutex_};
    essentials_.emplace(kind, actor->address());
  }
  /// The process cannot go on without an actor of this kind.
  void must_end(const char* kind) {
    if (stopping_)
      return;
    crippled_ = true;
    if (hooks_.fatal)
      hooks_.fatal(kind);
  }
  void watch_essentials();

  result<void> start_api();
  api::probe probe_with_data_directory() const;
  [[nodiscard]] process_load process_now() const;
  /// The API's threads are no actors: its cell is filled when somebody looks.
  void show_api_load();
  void show_mirrors(); ///< likewise

  /// Until every PackageRev object is as it should be, or cannot be made so; false when `give_up` says so.
  bool await_package_revs(caf::scoped_actor& self, const std::function<bool()>& give_up);
  void flush_status(caf::scoped_actor& self);
  void finish_syncs(caf::scoped_actor& self, time_point until);
  /// Until no more than `left` actors live.
  void await_rest(std::size_t left, time_point deadline);

  const config::settings settings_; ///< as started with
  config::settings in_force_ = settings_; ///< with what was read anew
  std::atomic<std::size_t> workers_{settings_.max_concurrent_syncs}; ///< of these, for the threads of the API
  const system_hooks hooks_;
  adapters parts_;
  runtime_env env_;
  std::shared_ptr<metric_telemetry> telemetry_;
  readiness ready_{settings_.kubernetes ? "API server" : "object store"};
  std::string said_; ///< problem of the source
  std::shared_ptr<std::atomic<api::api_server*>> commit_target_ = std::make_shared<std::atomic<api::api_server*>>(nullptr);
  std::shared_ptr<kube::api_client> election_client_;
  std::atomic<bool> leads_{false}; ///< since a leader was to be elected, and was
  std::mutex watcher_mutex_;
  mutable std::mutex essentials_mutex_;
  std::map<std::string, caf::actor_addr> essentials_; ///< by kind
  std::atomic<bool> stopping_{false};
  std::atomic<bool> crippled_{false}; ///< an essential actor ended: no sync can come to its end
  bool down_ = false;
  bool clean_ = true;
  caf_config config_;
  std::unique_ptr<caf::actor_system> system_;
  object_store_actor object_store_;
  cache_writer_actor cache_;
  live<job_tools> tools_;
  status_writer_actor status_;
  worker_pool_actor pool_;
  worker_pool_actor listers_;
  worker_pool_actor distant_listers_;
  http_actor http_;
  host_keeper_actor hosts_;
  finalizer_keeper_actor finalizers_;     ///< null without an API server, like
  secret_keeper_actor secret_keeper_;
  package_rev_keeper_actor package_revs_; ///< null without `--cache cr`
  supervisor_actor supervisor_;
  manifest_follower_actor follower_;
  watcher_actor watcher_;
  lease_keeper_actor lease_keeper_; ///< null when nobody is to be elected
  std::shared_ptr<source::repository_source> source_; ///< the watcher's
  std::shared_ptr<mirror_shelf> mirrors_;
  cell_ptr api_cell_;
  cell_ptr mirrors_cell_;
  std::unique_ptr<api::api_server> api_;
};

} // namespace veranda
