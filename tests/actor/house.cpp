#include "tests/actor/house.hpp"

#include "adapters/kpt/decoder.hpp"

namespace veranda::test {

namespace {

struct secretless final : secrets::secret_source {
  result<credentials> resolve(const std::string&, const std::string&, const std::string&) override { return credentials{}; }
};

} // namespace

std::string status_text(const repository_status& s) {
  std::string out;
  for (const auto& c : s.conditions)
    out += c.type + "=" + c.status + " " + c.reason + ": " + c.message + "\n";
  return out + "next=" + s.next_sync_cause + " packages=" + std::to_string(s.package_count) + " handled=" + s.handled_request + "\n";
}

house::house(std::size_t slots) {
  machine.health_check_frequency = 0ms;
  limits.slots = slots;
  http->world = &git;
  auto t = std::make_shared<job_tools>();
  t->git = std::make_shared<fake_git_client>(git);
  t->secrets = std::make_shared<secretless>();
  t->open_cache = [this]() -> result<std::unique_ptr<store::package_cache_reader>> { return std::unique_ptr<store::package_cache_reader>{std::make_unique<memory_cache_reader>(cache)}; };
  t->make_decoder = kpt::make_decoder;
  t->store_contents = [this](auto batch, auto gate) { gate->release(memory_package_cache{cache}.put_contents(*batch)); };
  workers->tools = t;
}

void house::open() {
  objects_actor = spawn(fake_object_store, objects);
  cache_writer_deps cache_deps;
  cache_deps.env = env;
  cache_deps.set_aside = [this]() -> result<void> {
    ++cache.set_aside;
    cache.damaged = false;
    cache.rows.clear();
    cache.trees.clear();
    cache.contents.clear();
    return {};
  };
  cache_deps.open = [this]() -> result<std::unique_ptr<store::package_cache>> {
    if (cache.failing.contains("reopen"))
      return cache.failing.at("reopen");
    return std::unique_ptr<store::package_cache>{std::make_unique<memory_package_cache>(cache)};
  };
  cache_deps.health = cache_health;
  cache_deps.open_reader = [this]() -> result<std::unique_ptr<store::package_cache_reader>> {
    if (cache.failing.contains("states"))
      return cache.failing.at("states");
    return std::unique_ptr<store::package_cache_reader>{std::make_unique<memory_cache_reader>(cache)};
  };
  cache_actor = spawn(cache_writer, std::move(cache_deps));
  status_writer_deps status;
  status.env = env;
  status.objects = objects_actor;
  status.encode = status_text;
  status.resource = "repositories.config.porch.kpt.dev";
  status_actor = spawn(status_writer, std::move(status));
  pool = spawn_pool("worker-pool", limits);
  listers = spawn_pool("lister-pool", {});
  distant_listers = spawn_pool("distant-lister-pool", {});
  http_actor_ = spawn(fake_http, http);
  if (knows_hosts)
    hosts = spawn(host_keeper, host_keeper_deps{env, {}});
  open_supervisor();
}

void house::open_supervisor() {
  supervisor_deps deps;
  deps.env = env;
  deps.cache = cache_actor;
  deps.pool = pool;
  deps.mirrors = "/mirrors";
  deps.finalizers = finalizers;
  deps.package_revs = package_revs;
  deps.consistency_interval = 10min;
  deps.canonical_url = [](const std::string& repo) -> result<std::string> {
    if (repo.find("..") != std::string::npos)
      return failure{ec::invalid_spec, "the URL is not a good one", {}, {}, {}};
    return repo;
  };
  deps.is_local = [](const std::string& repo) { return repo.starts_with("/"); };
  deps.is_http = [](const std::string& repo) { return repo.starts_with("http"); };
  deps.distant_listers = distant_listers;
  deps.has_ca_bundle = [this](const std::string& ns) { return bundles.contains(ns); };
  deps.first_list_applied = [this] { ++first_lists; };
  deps.held_up = [this](const std::string& why) { held_up = why; };
  deps.repository.env = env;
  deps.repository.machine = machine;
  deps.repository.cache = cache_actor;
  deps.repository.status = status_actor;
  deps.repository.allow_create_branch = allow_create_branch;
  if (holds)
    deps.repository.finalizers = finalizers;
  deps.remote = remote_settings();
  boss = spawn(supervisor, std::move(deps));
}

remote_deps house::remote_settings() {
  remote_deps deps;
  deps.env = env;
  deps.http = http_actor_;
  deps.wake_http = [] {};
  deps.secret_keeper = secret_keeper;
  deps.hosts = hosts;
  deps.listers = listers;
  deps.pool = pool;
  return deps;
}

worker_pool_actor house::spawn_pool(const std::string& kind, logic::admission_limits pool_limits) {
  worker_pool_deps deps;
  deps.env = env;
  deps.kind = kind;
  deps.limits = pool_limits;
  deps.spawn_worker = [script = workers](worker_pool_actor::base* self, std::size_t) { return self->home_system().spawn(fake_worker, script); };
  return spawn(worker_pool, std::move(deps));
}

repository_object house::an_object(const std::string& name, const std::string& repo, const std::string& uid) {
  repository_object o;
  o.meta.key = {"team", name};
  o.meta.uid = uid.empty() ? "uid-" + name : uid;
  o.meta.generation = 1;
  o.spec.type = repository_type::git;
  o.spec.git.emplace();
  o.spec.git->repo = repo;
  return o;
}

void house::list(std::vector<repository_object> all) {
  wanted.clear();
  for (const auto& o : all) {
    wanted[o.meta.key] = o;
    objects->put(o.meta.key, o.meta.uid);
  }
  tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(all))});
}

void house::put(const repository_object& o) {
  wanted[o.meta.key] = o;
  objects->put(o.meta.key, o.meta.uid);
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(o), false});
}

void house::remove(const std::string& name) {
  auto node = wanted.extract(key(name));
  objects->objects.erase(key(name));
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(node.mapped()), true});
}

void house::start_again() {
  end_actors();
  BOOST_REQUIRE(running() == 0U);
  open();
}

supervisor_state& house::seen() { return state_of<supervisor_state>(boss); }

repository_actor house::repository_of(const std::string& name) { return seen().entries.at(key(name)).handle; }

repository_state& house::inside(const std::string& name) { return state_of<repository_state>(repository_of(name)); }

remote_actor house::remote_of(const std::string& repo) {
  for (const auto& [identity, entry] : seen().remotes)
    if (identity.url == repo)
      return entry.handle;
  return {};
}

sync_run house::last_run(const std::string& name) { return inside(name).machine->durable().runs.back(); }

void house::at_end() {
  http->held.clear();
  workers->held.clear();
  objects->held.clear();
  workers->under_way.clear();
  objects_actor = nullptr;
  cache_actor = nullptr;
  status_actor = nullptr;
  pool = listers = distant_listers = nullptr;
  http_actor_ = nullptr;
  finalizers = nullptr;
  package_revs = nullptr;
  secret_keeper = nullptr;
  hosts = nullptr;
  boss = nullptr;
}

} // namespace veranda::test
