#include "actors/system/real_system.hpp"

#include "actors/cache_writer/cache_writer.hpp"
#include "actors/common/allocator.hpp"
#include "actors/hosts/hosts.hpp"
#include "actors/http/http.hpp"
#include "actors/kube/finalizer_keeper.hpp"
#include "actors/kube/kube_writer.hpp"
#include "actors/kube/secret_keeper.hpp"
#include "actors/object_store/object_store.hpp"
#include "actors/status_writer/status_writer.hpp"
#include "actors/watcher/manifest_follower.hpp"
#include "actors/watcher/watcher.hpp"
#include "actors/workers/worker_pool.hpp"

#include <cstdlib>
#include <random>

namespace veranda {

real_system::caf_config::caf_config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-throughput", 300U);
}

real_system::~real_system() {
  if (!shut_down())
    std::abort(); // the caller was told to end the process
}

result<void> real_system::start() {
  settle_allocator();
  auto opened = open_adapters(settings_);
  if (!opened)
    return opened.error();
  parts_ = std::move(*opened);
  env_.wall_now = [] { return std::chrono::system_clock::now(); };
  env_.seed = std::random_device{}();
  env_.cells = std::make_shared<cell_registry>();
  telemetry_ = std::make_shared<metric_telemetry>(metric_telemetry::options{VERANDA_VERSION, env_.wall_now(), settings_.metrics_max_repositories}, env_.cells);
  env_.telemetry = telemetry_;
  system_ = std::make_unique<caf::actor_system>(config_);
  spawn_writers();
  spawn_workers();
  spawn_keepers();
  spawn_supervisor();
  if (settings_.leader_elect)
    stand_for_election();
  else if (auto spawned = spawn_readers(); !spawned)
    return spawned;
  watch_essentials();
  return settings_.once ? result<void>{} : start_api();
}

void real_system::source_problem(const std::optional<failure>& why) {
  const auto text = why ? explain_source_problem(*why) : std::string{};
  ready_.set_source_problem(text);
  if (std::exchange(said_, text) == text)
    return;
  if (why)
    log::warn(watcher_state::name, "Repository objects cannot be followed; trying again", {{"err", text}});
  else
    log::info(watcher_state::name, "Repository objects are followed again");
}

void real_system::watch_essentials() {
  is_essential(supervisor_, supervisor_state::name);
  is_essential(cache_, cache_writer_state::name);
  is_essential(status_, status_writer_state::name);
  is_essential(object_store_, parts_.kube ? kube_writer_state::name : object_store_state::name);
  is_essential(pool_, worker_pool_state::name);
  is_essential(listers_, "lister-pool");
  is_essential(distant_listers_, "distant-lister-pool");
  is_essential(http_, http_state::name);
  is_essential(hosts_, host_keeper_state::name);
  if (parts_.kube) {
    is_essential(finalizers_, kube_finalizers_state::name);
    is_essential(secret_keeper_, kube_secrets_state::name);
    if (package_revs_)
      is_essential(package_revs_, package_rev_keeper_state::name);
  }
  if (follower_)
    is_essential(follower_, manifest_follower_state::name);
}

result<std::unique_ptr<running_system>> start_system(const config::settings& settings, system_hooks hooks) {
  auto system = std::make_unique<real_system>(settings, std::move(hooks));
  if (auto started = system->start(); !started)
    return started.error();
  return std::unique_ptr<running_system>{std::move(system)};
}

} // namespace veranda
