#include "actors/system/system.hpp"

#include "actors/api/api_bridge.hpp"
#include "actors/cache_writer/cache_writer.hpp"
#include "actors/common/dump.hpp"
#include "actors/common/guard.hpp"
#include "actors/http/http.hpp"
#include "actors/kube/finalizer_keeper.hpp"
#include "actors/kube/kube_writer.hpp"
#include "actors/kube/package_rev_keeper.hpp"
#include "actors/kube/secret_keeper.hpp"
#include "actors/logic/ownership.hpp"
#include "actors/object_store/object_store.hpp"
#include "actors/status_writer/status_writer.hpp"
#include "actors/system/adapters.hpp"
#include "actors/system/election.hpp"
#include "actors/system/readiness.hpp"
#include "actors/watcher/manifest_follower.hpp"
#include "actors/watcher/watcher.hpp"
#include "actors/workers/worker_pool.hpp"
#include "adapters/codec/repository_codec.hpp"
#include "adapters/kpt/decoder.hpp"
#include "adapters/source/manifest_file.hpp"
#include "adapters/source/store_source.hpp"
#include "adapters/store/package_mirror_reader.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <mutex>
#include <cstdlib>
#include <random>
#include <thread>

namespace veranda {

namespace {

constexpr std::size_t listers = 2; ///< child processes that list local remotes at once
constexpr std::chrono::seconds longest_wait{365 * 24 * 3600}; ///< for what ends when its work is done

struct caf_config : caf::actor_system_config {
  caf_config() {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-throughput", 300U);
  }
};

class real_system final : public running_system {
public:
  real_system(config::settings settings, system_hooks hooks) : settings_(std::move(settings)), hooks_(std::move(hooks)) {}
  ~real_system() override {
    if (!shut_down())
      std::abort(); // the caller was told to end the process
  }

  result<void> start() {
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

  std::uint16_t port() const override { return api_ ? api_->port() : std::uint16_t{0}; }
  const cell_registry& cells() const override { return *env_.cells; }

  bool leadership_lapsed() const override { return leads_ && !stopping_ && !parts_.kube->permit()->valid(); }

  std::vector<source::manifest_problem> manifest_problems() const override { return ready_.problems(); }
  result<std::unique_ptr<store::object_store_reader>> open_objects() const override { return parts_.read_objects(); }
  result<std::unique_ptr<store::package_cache_reader>> open_cache() const override { return parts_.read_cache(); }

  std::optional<msg::first_syncs> wait_first_syncs(const std::function<bool()>& give_up) override {
    caf::scoped_actor self{*system_};
    std::optional<msg::first_syncs> sums;
    auto asked = self->request(supervisor_, longest_wait, msg::await_first_syncs{}); // once: the supervisor keeps each request until then
    while (!self->await_data(caf::blocking_actor::timeout_type::clock::now() + std::chrono::milliseconds{200}))
      if (give_up())
        return std::nullopt;
    asked.receive([&](const msg::first_syncs& s) { sums = s; }, [](caf::error&) {});
    if (sums)
      flush_status(self);
    return !sums || await_package_revs(self, give_up) ? sums : std::nullopt;
  }

  void reload(const config::settings& settings) override {
    log::set_level(log::parse_level(settings.log_level));
    if (!api_)
      return;
    if (auto reloaded = api_->reload_certificate(); !reloaded)
      log::warn("api", "the TLS certificate was not reloaded; the old one stays", {{"err", describe(reloaded.error())}});
  }

  bool shut_down() override {
    if (std::exchange(down_, true) || !system_)
      return clean_;
    stopping_ = true;
    const auto deadline = std::chrono::steady_clock::now() + settings_.shutdown_deadline;
    if (api_)
      api_->stop();
    {
      caf::scoped_actor self{*system_};
      stop(self, follower_, deadline, [this] { parts_.manifests->interrupt(); });
      {
        std::lock_guard lock{watcher_mutex_}; // the follower's last word may start it
      }
      stop(self, watcher_, deadline, [this] { source_->interrupt(); });
      stop(self, supervisor_, deadline);
      stop(self, pool_, deadline);
      stop(self, listers_, deadline);
      stop(self, secret_keeper_, deadline, [this] { parts_.kube->secret_reader()->wake(); });
      stop(self, finalizers_, deadline, [this] { parts_.kube->finalizers()->wake(); });
      stop(self, package_revs_, deadline, [this] { parts_.kube->package_revs()->wake(); });
      flush_status(self);
      stop(self, status_, deadline);
      stop(self, http_, deadline, [this] { parts_.listings->wake(); });
      drain(self, cache_, deadline);
      drain(self, object_store_, deadline);
    }
    *commit_target_ = nullptr;
    await_rest(lease_keeper_ ? 1 : 0, deadline); // workers end after their pool
    if (lease_keeper_ && system_->registry().running() <= 1) { // with anything at work still, the Lease must run out
      caf::scoped_actor self{*system_};
      drain(self, lease_keeper_, deadline, [this] { election_client_->wake(); });
    }
    await_rest(0, deadline);
    clean_ = system_->registry().running() == 0;
    if (!clean_) {
      log::warn("system", "some actors did not end within the deadline; exiting without them");
      return false;
    }
    api_.reset();
    system_.reset();
    return true;
  }

private:
  /// Until no more than `left` actors live.
  void await_rest(std::size_t left, std::chrono::steady_clock::time_point deadline) {
    while (system_->registry().running() > left && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }

  std::function<void()> committed() {
    return [target = commit_target_] {
      if (auto* api = target->load())
        api->notify_changed();
    };
  }

  void spawn_writers() {
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

  void spawn_workers() {
    auto tools = std::make_shared<job_tools>();
    tools->git = parts_.git;
    tools->secrets = parts_.secrets;
    tools->open_cache = [this] { return open_cache(); };
    tools->make_decoder = kpt::make_decoder;
    tools->store_contents = [cache = cache_](auto batch, auto gate) { caf::anon_send(cache, msg::store_contents{std::move(batch), std::move(gate)}); };
    tools->limits.max_resource_bytes = settings_.max_resource_bytes;
    tools->telemetry = env_.telemetry;
    pool_ = spawn_pool("worker", worker_pool_state::name, settings_.max_concurrent_syncs, settings_.sync_deadline, tools);
    listers_ = spawn_pool("lister", "lister-pool", listers, settings_.listing_timeout, tools);
    http_ = system_->spawn<caf::detached>(http_listings, http_deps{env_, parts_.listings, parts_.secrets});
  }

  worker_pool_actor spawn_pool(const std::string& worker_kind, const std::string& kind, std::size_t slots, std::chrono::milliseconds deadline,
                               std::shared_ptr<const job_tools> tools) {
    worker_pool_deps deps;
    deps.env = env_;
    deps.kind = kind;
    deps.limits.slots = slots;
    deps.limits.max_queued = settings_.max_queued_syncs;
    deps.limits.per_host = slots > 1 ? slots - 1 : 0; // one slow host never takes every slot
    deps.job_timeout = deadline;
    deps.spawn_worker = [env = env_, tools, worker_kind](worker_pool_actor::base* self, std::size_t index) {
      return self->spawn<caf::detached>(worker, worker_deps{env, tools, worker_kind, std::to_string(index)});
    };
    return system_->spawn(worker_pool, std::move(deps));
  }

  /// Of what only an API server has.
  void spawn_keepers() {
    if (!parts_.kube)
      return;
    finalizers_ = system_->spawn<caf::detached>(kube_finalizers, kube_finalizers_deps{env_, parts_.kube->finalizers(), parts_.kube->known()});
    secret_keeper_ = system_->spawn<caf::detached>(kube_secrets, kube_secrets_deps{env_, parts_.kube->secret_reader(), parts_.kube->secrets()});
    if (!parts_.kube->package_revs())
      return;
    auto mirror = parts_.kube->package_rev_deps(env_);
    mirror.telemetry = telemetry_;
    mirror.open_cache = [this] { return store::open_package_mirror_reader(parts_.cache_file); };
    mirror.problem = [this](const std::string& why) { ready_.set_package_rev_problem(why); };
    ready_.set_package_rev_problem("their first list has not come yet");
    package_revs_ = system_->spawn<caf::detached>(package_rev_keeper, std::move(mirror));
  }

  /// Objects are followed, and with that all work begins, once this process leads.
  void stand_for_election() {
    const auto lease = parts_.kube->lease();
    election_client_ = parts_.kube->open_election_client();
    show_election({}, lease);
    lease_keeper_deps deps;
    deps.env = env_;
    deps.client = election_client_;
    deps.lease = lease;
    deps.policy = election_policy(settings_);
    deps.permit = parts_.kube->permit();
    deps.leads = [this] {
      leads_ = true;
      if (auto spawned = spawn_watcher(); !spawned) {
        log::error("system", "Repository objects cannot be watched", {{"err", describe(spawned.error())}});
        hooks_.fatal(watcher_state::name);
      }
    };
    deps.lost = [this, lease](const failure& why) {
      if (hooks_.leadership_lost)
        hooks_.leadership_lost(lease, why);
    };
    deps.changed = [this, lease](const election_view& view) { show_election(view, lease); };
    log::info("system", "standing for election", {{"lease", to_string(lease)}, {"identity", deps.policy.identity}, {"server", parts_.kube->server()}});
    lease_keeper_ = system_->spawn<caf::detached>(lease_keeper, std::move(deps));
    is_essential(lease_keeper_, lease_keeper_state::name);
  }

  void show_election(const election_view& view, const object_key& lease) {
    auto line = line_of(view, lease);
    telemetry_->leading(!line.standby);
    ready_.set_election(std::move(line.text), line.standby, line.sound);
  }

  void spawn_supervisor() {
    supervisor_deps deps;
    deps.env = env_;
    deps.cache = cache_;
    deps.pool = pool_;
    deps.mirrors = settings_.data_dir / "mirrors";
    deps.consistency_interval = settings_.repo_sync_frequency;
    deps.canonical_url = [allow = settings_.allow_local](const std::string& url) { return git::canonical_url(url, allow); };
    deps.is_local = [](const std::string& url) { return git::is_local(url); };
    if (parts_.kube)
      deps.has_ca_bundle = [all = settings_.namespace_ca_bundle](const std::string&) { return all; }; // known once it is asked for
    else
      deps.has_ca_bundle = [files = parts_.secret_files](const std::string& ns) { return files->find({ns, ns + "-ca-bundle"}).has_value(); };
    deps.finalizers = finalizers_;
    deps.package_revs = package_revs_;
    deps.first_list_applied = [this] { ready_.first_list_applied(); };
    auto& repository = deps.repository;
    repository.env = env_;
    repository.cache = cache_;
    repository.status = status_;
    if (settings_.finalizer && !settings_.once) // nobody would take it off
      repository.finalizers = finalizers_;
    repository.machine.default_frequency = settings_.repo_sync_frequency;
    repository.machine.health_check_frequency = settings_.once ? std::chrono::milliseconds{0} : settings_.health_check_frequency;
    repository.machine.full_compare_interval = settings_.full_compare_interval;
    repository.machine.time_zone = settings_.time_zone;
    repository.machine.spread = 0.5;
    auto& remote = deps.remote;
    remote.env = env_;
    remote.http = http_;
    remote.wake_http = [engine = parts_.listings] { engine->wake(); };
    remote.listers = listers_;
    remote.pool = pool_;
    remote.secret_keeper = secret_keeper_;
    if (parts_.kube)
      remote.wake_secret_keeper = [client = parts_.kube->secret_reader()] { client->wake(); };
    supervisor_ = system_->spawn(supervisor, std::move(deps));
  }

  /// The manifests are in the object store before the first list, so that "ready" means all of them.
  result<void> spawn_readers() {
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
    deps.planning.release = deps.permit->how();
    deps.first_applied = [this] {
      if (auto spawned = spawn_watcher(); !spawned) {
        log::error("system", "Repository objects cannot be watched", {{"err", describe(spawned.error())}});
        hooks_.fatal(watcher_state::name);
      }
    };
    deps.problems = [this](const std::vector<source::manifest_problem>& problems) { ready_.set_problems(problems); };
    follower_ = system_->spawn<caf::detached>(manifest_follower, std::move(deps));
    return {};
  }

  result<void> spawn_watcher() {
    watcher_deps deps{env_, nullptr, supervisor_};
    if (parts_.kube) {
      deps.problem = [this](const std::optional<failure>& why) { source_problem(why); };
      deps.source = parts_.kube->open_source(env_.seed, deps.problem);
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

  /// Says why objects cannot be followed, once for each reason, and when they can again. Called by the watcher's thread alone.
  void source_problem(const std::optional<failure>& why) {
    const auto text = why ? explain_source_problem(*why) : std::string{};
    ready_.set_source_problem(text);
    if (std::exchange(said_, text) == text)
      return;
    if (why)
      log::warn(watcher_state::name, "Repository objects cannot be followed; trying again", {{"err", text}});
    else
      log::info(watcher_state::name, "Repository objects are followed again");
  }

  /// The deaths that end the process.
  template <class Handle>
  void is_essential(const Handle& handle, const char* kind) {
    caf::actor_cast<caf::abstract_actor*>(handle)->attach_functor([this, kind](const caf::error&) {
      if (!stopping_ && hooks_.fatal)
        hooks_.fatal(kind);
    });
  }

  void watch_essentials() {
    is_essential(supervisor_, supervisor_state::name);
    is_essential(cache_, cache_writer_state::name);
    is_essential(status_, status_writer_state::name);
    is_essential(object_store_, parts_.kube ? kube_writer_state::name : object_store_state::name);
    is_essential(pool_, worker_pool_state::name);
    is_essential(http_, http_state::name);
    if (parts_.kube) {
      is_essential(finalizers_, kube_finalizers_state::name);
      is_essential(secret_keeper_, kube_secrets_state::name);
      if (package_revs_)
        is_essential(package_revs_, package_rev_keeper_state::name);
    }
    if (follower_)
      is_essential(follower_, manifest_follower_state::name);
  }

  api::probe probe_with_data_directory() const {
    auto probe = ready_.probe();
    if (!parts_.data->in_place()) {
      probe.ok = false;
      probe.text += "[-]data directory: " + settings_.data_dir.string() + " was moved or removed under this process; put it back, or start anew\n";
    }
    return probe;
  }

  result<void> start_api() {
    api::api_settings s;
    s.address = settings_.listen_address;
    s.port = settings_.listen_port;
    s.token = parts_.token;
    s.tls_certificate_file = settings_.tls_certificate.string();
    s.tls_key_file = settings_.tls_key.string();
    api::api_dependencies deps;
    deps.open_cache = [this] { return or_null(open_cache()); };
    if (parts_.kube) {
      deps.open_objects = refuse_object_reads;
      deps.writer = refuse_object_writes();
    } else {
      deps.open_objects = [this] { return or_null(open_objects()); };
      deps.writer = make_object_writer(*system_, object_store_);
    }
    deps.livez = [] { return api::probe{true, "[+]ping ok\n"}; };
    deps.readyz = [this] { return probe_with_data_directory(); };
    deps.metrics = [this] { return telemetry_->render(env_.wall_now()); };
    deps.dump = [this](const std::string& name, bool deep) -> result<std::string> {
      show_api_load();
      auto text = dump_json(*env_.cells, env_.wall_now(), name);
      return deep ? add_deep_state(*system_, supervisor_, name, std::move(text)) : result<std::string>{std::move(text)};
    };
    deps.log = [](const std::string& line) { log::debug("api", line); };
    auto started = api::start_api_server(s, std::move(deps));
    if (!started)
      return started.error();
    api_ = std::move(*started);
    api_cell_ = env_.cells->add("api");
    api_cell_->set_state("serving");
    api_cell_->set_detail("port", std::to_string(api_->port()));
    *commit_target_ = api_.get();
    return {};
  }

  /// The API's threads are no actors: its cell is filled when somebody looks.
  void show_api_load() {
    const auto* server = commit_target_->load();
    if (server == nullptr) // a request of the first moment
      return;
    const auto load = server->load();
    api_cell_->set_detail("connections", std::to_string(load.connections));
    api_cell_->set_detail("watches", std::to_string(load.watches));
    api_cell_->set_detail("requests", std::to_string(load.requests));
  }

  template <class T>
  static std::unique_ptr<T> or_null(result<std::unique_ptr<T>> opened) {
    return opened ? std::move(*opened) : nullptr;
  }

  /// Until every PackageRev object is as it should be, or cannot be made so; false when `give_up` says so.
  bool await_package_revs(caf::scoped_actor& self, const std::function<bool()>& give_up) {
    if (!package_revs_)
      return true;
    auto asked = self->request(package_revs_, longest_wait, msg::await_package_revs{});
    while (!self->await_data(caf::blocking_actor::timeout_type::clock::now() + std::chrono::milliseconds{200}))
      if (give_up())
        return false;
    asked.receive([](bool) {}, [](caf::error&) {});
    return true;
  }

  void flush_status(caf::scoped_actor& self) {
    self->request(status_, std::chrono::seconds{5}, msg::flush_status{}).receive([](bool) {}, [](caf::error& e) {
      log::warn("system", "some statuses may not be written", {{"err", describe(to_failure(e))}});
    });
  }

  /// Ends an actor at once, `wake` taking it out of whatever it waits for, and waits for its end until the deadline.
  template <class Handle>
  void stop(caf::scoped_actor& self, Handle& handle, std::chrono::steady_clock::time_point deadline, const std::function<void()>& wake = [] {}) {
    if (!handle)
      return;
    exit_now(handle, caf::exit_reason::user_shutdown);
    wake();
    await_end(self, handle, deadline);
  }
  /// Ends an actor after what waits in its mailbox.
  template <class Handle>
  void drain(caf::scoped_actor& self, Handle& handle, std::chrono::steady_clock::time_point deadline, const std::function<void()>& wake = [] {}) {
    self->send_exit(handle, caf::exit_reason::user_shutdown);
    wake();
    await_end(self, handle, deadline);
  }
  template <class Handle>
  void await_end(caf::scoped_actor& self, Handle& handle, std::chrono::steady_clock::time_point deadline) {
    self->monitor(handle);
    const auto left = std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration{std::chrono::milliseconds{100}});
    self->receive([](const caf::down_msg&) {}, caf::after(std::chrono::duration_cast<std::chrono::milliseconds>(left)) >> [] {});
    handle = nullptr;
  }

  const config::settings settings_;
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
  std::atomic<bool> stopping_{false};
  bool down_ = false;
  bool clean_ = true;
  caf_config config_;
  std::unique_ptr<caf::actor_system> system_;
  object_store_actor object_store_;
  cache_writer_actor cache_;
  status_writer_actor status_;
  worker_pool_actor pool_;
  worker_pool_actor listers_;
  http_actor http_;
  finalizer_keeper_actor finalizers_;  ///< null without an API server, like
  package_rev_keeper_actor package_revs_; ///< null without `--cache cr`
  secret_keeper_actor secret_keeper_;
  supervisor_actor supervisor_;
  manifest_follower_actor follower_;
  watcher_actor watcher_;
  lease_keeper_actor lease_keeper_; ///< null when nobody is to be elected
  std::shared_ptr<source::repository_source> source_; ///< the watcher's
  cell_ptr api_cell_;
  std::unique_ptr<api::api_server> api_;
};

} // namespace

result<std::unique_ptr<running_system>> start_system(const config::settings& settings, system_hooks hooks) {
  auto system = std::make_unique<real_system>(settings, std::move(hooks));
  if (auto started = system->start(); !started)
    return started.error();
  return std::unique_ptr<running_system>{std::move(system)};
}

} // namespace veranda
