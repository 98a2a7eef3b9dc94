#pragma once

#include "actors/logic/admission.hpp"
#include "actors/workers/worker.hpp"

#include <deque>
#include <unordered_map>

namespace veranda {

struct worker_pool_deps {
  runtime_env env;
  std::string kind = "worker-pool"; ///< cell kind
  logic::admission_limits limits;   ///< there are `slots` workers
  /// Makes one worker; tests spawn pooled ones. `index` names it.
  std::function<worker_actor(worker_pool_actor::base*, std::size_t index)> spawn_worker;
  std::chrono::milliseconds job_timeout{20 * 60'000}; ///< of jobs whose token has no deadline
  std::chrono::milliseconds grace{15'000};            ///< after its deadline a worker that has not come back is replaced
};

struct worker_pool_state {
  static constexpr const char* name = "worker-pool";

  worker_pool_state() = default;
  worker_pool_state(const worker_pool_state&) = delete;
  worker_pool_state& operator=(const worker_pool_state&) = delete;
  ~worker_pool_state(); ///< stops its jobs and takes its workers along, however it ended

  struct pending {
    msg::job job;
    caf::typed_response_promise<msg::job_result> promise;
    std::chrono::steady_clock::time_point queued{};
  };
  struct busy_worker {
    worker_actor handle;
    std::size_t index = 0;
  };

  worker_pool_deps deps;
  cell_ptr cell;
  std::optional<logic::admission> queue;
  std::unordered_map<std::uint64_t, pending> jobs; ///< waiting and running
  std::unordered_map<std::uint64_t, busy_worker> busy;
  std::deque<busy_worker> idle;
  std::uint64_t next_id = 0;
  std::size_t next_index = 0;
  std::uint64_t replaced = 0;
  bool ending = false; ///< no job begins any more
};

/// The bounded queue in front of N workers (`worker_pool_actor`): admission by logic::admission, one job per worker. A worker that ends, or does not come back after its
/// job's deadline and a grace, is replaced and counted; its job fails with `timed_out`. Told to exit with `user_shutdown` it refuses what waits and what comes with `cancelled`, and
/// ends after the jobs that run; for any other reason it stops these and ends at once.
worker_pool_actor::behavior_type worker_pool(worker_pool_actor::stateful_pointer<worker_pool_state> self, worker_pool_deps deps);

} // namespace veranda
