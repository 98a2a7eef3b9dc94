#include "actors/system/real_system.hpp"

#include "actors/cache_writer/cache_writer.hpp"
#include "actors/hosts/hosts.hpp"
#include "actors/http/http.hpp"
#include "actors/kube/kube_writer.hpp"
#include "actors/logic/ownership.hpp"
#include "actors/object_store/object_store.hpp"
#include "actors/status_writer/status_writer.hpp"
#include "actors/watcher/manifest_follower.hpp"
#include "actors/watcher/watcher.hpp"
#include "actors/workers/worker_pool.hpp"
#include "adapters/codec/repository_codec.hpp"
#include "adapters/kpt/decoder.hpp"
#include "adapters/source/manifest_file.hpp"
#include "adapters/source/store_source.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

/// At one host: as the settings say, or `otherwise`; one slot alone is for everybody.
std::size_t slots_per_host(const config::settings& s, std::size_t slots, std::size_t otherwise) {
  if (s.max_concurrent_per_host != 0)
    return std::min<std::size_t>(s.max_concurrent_per_host, slots);
  return slots > 1 ? otherwise : 0;
}

constexpr std::size_t listers = 2; ///< child processes that list local remotes at once
constexpr std::size_t distant_listers = 8; ///< the same for remotes over ssh and git://, which may be slow

} // namespace

std::function<void()> real_system::committed() {
  return [target = commit_target_] {
    if (auto* api = target->load())
      api->notify_changed();
  };
}

void real_system::spawn_writers() {
  if (parts_.kube)
    object_store_ = system_->spawn<caf::detached>(kube_writer, kube_writer_deps{env_, parts_.kube->writer(), parts_.kube->known(), ready_.objects});
  else
    object_store_ = system_->spawn<caf::detached>(object_store_writer, object_store_deps{env_, parts_.objects, committed(), ready_.objects});
  cache_writer_deps cache;
  cache.env = env_;
  cache.open = [this]() -> result<std::unique_ptr<store::package_cache>> {
    if (parts_.first_cache)
      return std::move(parts_.first_cache);
    return parts_.open_cache();
  };
  cache.set_aside = [this] { return parts_.set_cache_aside(); };
  cache.open_reader = [this] { return open_cache(); };
  cache.committed = committed();
  if (parts_.kube && parts_.kube->package_revs())
    cache.committed = [readers = committed(), client = parts_.kube->package_revs()] {
      readers();
      client->wake();
    };
  cache.health = ready_.cache;
  cache_ = system_->spawn<caf::detached>(cache_writer, std::move(cache));
  status_writer_deps status;
  status.env = env_;
  status.objects = object_store_;
  status.encode = codec::encode_status;
  status.resource = source::repositories_resource;
  if (parts_.kube)
    status.wake = [client = parts_.kube->writer()] { client->wake(); };
  status_ = system_->spawn(status_writer, std::move(status));
}

work_limits work_limits_of(const config::settings& s) {
  const std::size_t workers = s.max_concurrent_syncs, queued = s.max_queued_syncs;
  work_limits out;
  out.workers = {.slots = workers,
                 .per_host = slots_per_host(s, workers, workers - 1),
                 .unproven = std::max<std::size_t>(1, workers / 2),
                 .failing = workers / 4,
                 .max_queued = queued};
  out.listers = {.slots = listers, .max_queued = queued};
  out.distant_listers = {.slots = distant_listers,
                         .per_host = slots_per_host(s, distant_listers, distant_listers / 2),
                         .unproven = distant_listers / 2,
                         .failing = distant_listers / 4,
                         .max_queued = queued};
  out.http = {.slots = s.max_connections, .per_host = s.max_concurrent_per_host};
  return out;
}

job_tools real_system::tools_with(const config::settings& settings) {
  job_tools tools;
  tools.git = parts_.git;
  tools.secrets = parts_.secrets;
  tools.open_cache = [this] { return open_cache(); };
  tools.make_decoder = kpt::make_decoder;
  tools.store_contents = [cache = cache_](auto batch, auto gate) { caf::anon_send(cache, msg::store_contents{std::move(batch), std::move(gate)}); };
  tools.limits.max_resource_bytes = settings.max_resource_bytes;
  tools.limits.max_sync_bytes = settings.max_sync_bytes;
  tools.limits.max_metadata_bytes = settings.max_metadata_bytes;
  tools.telemetry = env_.telemetry;
  tools.mirrors = mirrors_;
  return tools;
}

void real_system::spawn_workers() {
  mirrors_ = std::make_shared<mirror_shelf>(parts_.git, settings_.data_dir / "mirrors", settings_.mirror_max_bytes, env_.wall_now);
  mirrors_cell_ = env_.cells->add("mirrors");
  tools_.set(tools_with(settings_));
  const auto limits = work_limits_of(settings_);
  pool_ = spawn_pool("worker", worker_pool_state::name, limits.workers, settings_.sync_deadline);
  listers_ = spawn_pool("lister", "lister-pool", limits.listers, settings_.listing_timeout);
  distant_listers_ = spawn_pool("distant-lister", "distant-lister-pool", limits.distant_listers, settings_.listing_timeout);
  hosts_ = system_->spawn(host_keeper, host_keeper_deps{env_, {}});
  http_ = system_->spawn<caf::detached>(http_listings, http_deps{env_, parts_.listings, parts_.secrets});
}

worker_pool_actor real_system::spawn_pool(const std::string& worker_kind, const std::string& kind, const logic::admission_limits& limits, std::chrono::milliseconds deadline) {
  worker_pool_deps deps;
  deps.env = env_;
  deps.kind = kind;
  deps.limits = limits;
  deps.job_timeout = deadline;
  deps.spawn_worker = [env = env_, tools = tools_, worker_kind](worker_pool_actor::base* self, std::size_t index) {
    return self->spawn<caf::detached>(worker, worker_deps{env, tools, worker_kind, std::to_string(index)});
  };
  return system_->spawn(worker_pool, std::move(deps));
}

void real_system::spawn_supervisor() {
  supervisor_deps deps;
  deps.env = env_;
  deps.cache = cache_;
  deps.pool = pool_;
  deps.mirrors = settings_.data_dir / "mirrors";
  deps.consistency_interval = settings_.repo_sync_frequency;
  deps.canonical_url = [allow = settings_.allow_local](const std::string& url) { return git::canonical_url(url, allow); };
  deps.is_local = [](const std::string& url) { return git::is_local(url); };
  deps.is_http = [](const std::string& url) { return git::is_http(url); };
  deps.distant_listers = distant_listers_;
  if (parts_.kube)
    deps.has_ca_bundle = [all = settings_.namespace_ca_bundle](const std::string&) { return all; }; // known once it is asked for
  else
    deps.has_ca_bundle = [files = parts_.secret_files](const std::string& ns) { return files->find(secrets::ca_bundle_secret(ns)).has_value(); };
  deps.finalizers = finalizers_;
  deps.package_revs = package_revs_;
  deps.first_list_applied = [this] { ready_.first_list_applied(); };
  deps.held_up = [this](const std::string& why) { ready_.set_deletion_problem(why); };
  auto& repository = deps.repository;
  repository.env = env_;
  repository.cache = cache_;
  repository.status = status_;
  if (settings_.finalizer && !settings_.once) // nobody would take it off
    repository.finalizers = finalizers_;
  repository.machine = machine_settings_of(settings_);
  repository.allow_create_branch = settings_.allow_create_branch;
  auto& remote = deps.remote;
  remote.env = env_;
  remote.http = http_;
  remote.wake_http = [engine = parts_.listings] { engine->wake(); };
  remote.hosts = hosts_;
  remote.listers = listers_;
  remote.pool = pool_;
  remote.secret_keeper = secret_keeper_;
  if (parts_.kube)
    remote.wake_secret_keeper = [client = parts_.kube->secret_reader()] { client->wake(); };
  supervisor_ = system_->spawn(supervisor, std::move(deps));
}

result<void> real_system::spawn_readers() {
  if (!parts_.manifests)
    return spawn_watcher();
  auto reader = open_objects();
  if (!reader)
    return reader.error();
  manifest_follower_deps deps;
  deps.env = env_;
  deps.directory = parts_.manifests;
  deps.objects_reader = std::move(*reader);
  deps.secrets = parts_.secret_files;
  deps.merge = logic::merge_managed;
  deps.objects = object_store_;
  deps.supervisor = supervisor_;
  deps.permit = std::make_shared<source::deletion_permit>(std::filesystem::absolute(settings_.data_dir / "allow-deletion").lexically_normal());
  deps.planning.allow_deletion = settings_.allow_manifest_deletion;
  deps.planning.hold_percent = settings_.max_delete_percent;
  deps.planning.release = deps.permit->how();
  deps.first_applied = [this] { spawn_watcher_or_fail(); };
  deps.problems = [this](const std::vector<source::manifest_problem>& problems) { ready_.set_problems(problems); };
  follower_ = system_->spawn<caf::detached>(manifest_follower, std::move(deps));
  return {};
}

void real_system::spawn_watcher_or_fail() {
  auto spawned = spawn_watcher();
  if (spawned)
    return;
  log::error("system", "Repository objects cannot be watched", {{"err", describe(spawned.error())}});
  must_end(watcher_state::name);
}

result<void> real_system::spawn_watcher() {
  watcher_deps deps{env_, nullptr, supervisor_};
  if (parts_.kube) {
    deps.problem = [this](const std::optional<failure>& why) { source_problem(why); };
    deps.source = parts_.kube->open_source(env_, deps.problem);
    log::info("system", "Repository objects come from an API server", {{"server", parts_.kube->server()}, {"origin", parts_.kube->origin()}});
  } else {
    auto reader = open_objects();
    if (!reader)
      return reader.error();
    deps.source = source::open_store_source(std::move(*reader));
  }
  std::lock_guard lock{watcher_mutex_};
  if (stopping_)
    return {};
  source_ = deps.source;
  watcher_ = system_->spawn<caf::detached>(watcher, std::move(deps));
  is_essential(watcher_, watcher_state::name);
  return {};
}

} // namespace veranda
