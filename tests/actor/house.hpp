#pragma once

#include "actors/cache_writer/cache_writer.hpp"
#include "actors/hosts/hosts.hpp"
#include "actors/status_writer/status_writer.hpp"
#include "actors/supervisor/remotes.hpp"
#include "actors/workers/worker_pool.hpp"
#include "tests/support/actor_fixture.hpp"
#include "tests/support/fakes/actors.hpp"
#include "tests/support/fakes/memory_cache.hpp"

namespace veranda::test {

/// A status as one text: a line per condition, `Ready=True Ready: Repository Ready ...`, then what is next and how many packages there are.
std::string status_text(const repository_status& s);

/// Supervisor, repositories, remotes, pool, cache writer and status writer as in the daemon, over remotes, stores and workers in memory.
struct house : actor_fixture {
  explicit house(std::size_t slots = 2);
  ~house() { end_all(); } // while what the actors use is there

  /// Starts the actors. They know of no object yet.
  void open();
  void open_supervisor();
  /// The process ends in the middle of everything, and another begins over the same stores and mirrors.
  void start_again();
  remote_deps remote_settings();
  worker_pool_actor spawn_pool(const std::string& kind, logic::admission_limits pool_limits);

  // -- objects -----------------------------------------------------------------------------------

  static constexpr const char* url = "https://git.example/packages.git";

  repository_object an_object(const std::string& name, const std::string& repo = url, const std::string& uid = "");
  /// Lists these as all there are.
  void list(std::vector<repository_object> all);
  void put(const repository_object& o);
  /// Changes an object that was put.
  template <class Change>
  void change(const std::string& name, Change f) {
    auto o = wanted.at(key(name));
    const auto before = o.spec;
    f(o);
    o.meta.generation += before != o.spec ? 1 : 0;
    put(o);
  }
  void remove(const std::string& name);
  static object_key key(const std::string& name) { return {"team", name}; }

  // -- what there is to see ----------------------------------------------------------------------

  supervisor_state& seen();
  repository_actor repository_of(const std::string& name);
  repository_state& inside(const std::string& name);
  remote_actor remote_of(const std::string& repo = url);
  const std::string& status(const std::string& name) { return objects->statuses[key(name)]; }
  bool says(const std::string& name, const std::string& text) { return status(name).find(text) != std::string::npos; }
  bool ready(const std::string& name) { return status(name).starts_with("Ready=True"); }
  std::vector<std::string> cached(const std::string& name) { return cache.names(key(name)); }
  unsigned listings(const std::string& repo = url) { return git.remotes[repo].listings; }
  sync_run last_run(const std::string& name);

  git_world git;
  memory_cache cache;
  std::shared_ptr<http_script> http = std::make_shared<http_script>();
  std::shared_ptr<worker_script> workers = std::make_shared<worker_script>();
  std::shared_ptr<store_script> objects = std::make_shared<store_script>();
  std::map<object_key, repository_object> wanted;
  std::set<std::string> bundles; ///< namespaces with a CA bundle
  std::shared_ptr<store_health> cache_health = std::make_shared<store_health>();
  logic::machine_settings machine;
  logic::admission_limits limits;
  unsigned first_lists = 0;
  std::string held_up; ///< as readiness is told

  object_store_actor objects_actor;
  cache_writer_actor cache_actor;
  status_writer_actor status_actor;
  worker_pool_actor pool, listers, distant_listers;
  http_actor http_actor_;
  bool holds = true; ///< repositories set finalizers
  bool allow_create_branch = false;
  finalizer_keeper_actor finalizers; ///< none: as without Kubernetes
  package_rev_keeper_actor package_revs; ///< none: as without --cache cr
  bool knows_hosts = false; ///< hosts are judged, as in the daemon
  host_keeper_actor hosts;
  secret_keeper_actor secret_keeper; ///< none: as without Kubernetes
  supervisor_actor boss;

protected:
  void at_end() override;
};

} // namespace veranda::test
