#pragma once

#include "actors/common/env.hpp"
#include "actors/logic/discovery/discovery.hpp"
#include "actors/workers/mirror_shelf.hpp"
#include "adapters/secrets/secret_source.hpp"
#include "adapters/store/package_cache.hpp"
#include "messages/model/live.hpp"
#include "messages/actor_handles.hpp"

namespace veranda {

/// What every job needs from the outside. Shared by all workers; everything in it is thread safe.
struct job_tools {
  std::shared_ptr<git::git_client> git;
  std::shared_ptr<secrets::secret_source> secrets;
  std::function<result<std::unique_ptr<store::package_cache_reader>>()> open_cache;
  std::function<std::unique_ptr<logic::package_decoder>()> make_decoder;
  /// Hands a batch of contents to the cache writer; the gate is released when it is stored.
  std::function<void(std::shared_ptr<const store::content_batch>, std::shared_ptr<msg::content_gate>)> store_contents;
  logic::discovery_limits limits;
  std::shared_ptr<veranda::telemetry> telemetry; ///< null: nothing is counted
  std::shared_ptr<mirror_shelf> mirrors;         ///< null: nobody minds what mirrors take
};

/// What a job tells about its progress while it runs.
using progress_report = std::function<void(const std::string& phase, const std::string& detail)>;

/// Runs one job to its end on the calling thread. Blocks; obeys the job's cancel token.
result<msg::job_result> run_job(const msg::job& job, const job_tools& tools, const progress_report& progress);

struct worker_deps {
  runtime_env env;
  live<job_tools> tools; ///< each job keeps those it began with
  std::string kind; ///< cell kind: `worker` or `lister`
  std::string key;
};

struct worker_state {
  static constexpr const char* name = "worker";
  worker_deps deps;
  cell_ptr cell;
};

/// Runs one blocking job at a time (`worker_actor`) and keeps nothing between jobs. Spawn detached.
worker_actor::behavior_type worker(worker_actor::stateful_pointer<worker_state> self, worker_deps deps);

} // namespace veranda
