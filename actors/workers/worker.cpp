#include "actors/workers/worker.hpp"

#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace veranda {

namespace {

/// A job that read this much leaves a heap full of holes.
constexpr std::uint64_t many_objects = 1'000;

/// Large blocks get pages of their own, whatever sizes were freed before, and threads share two heaps: what a job leaves behind can then be given back.
void settle_allocator() {
#ifdef __GLIBC__
  static const bool done = mallopt(M_ARENA_MAX, 2) != 0 && mallopt(M_MMAP_THRESHOLD, 256 << 10) != 0 && mallopt(M_TRIM_THRESHOLD, 1 << 20) != 0;
  static_cast<void>(done);
#endif
}

/// Gives memory back that the allocator would keep for this thread.
void release_memory(const result<msg::job_result>& outcome) {
#ifdef __GLIBC__
  if (!outcome || (outcome->synced && outcome->synced->objects_read >= many_objects))
    malloc_trim(0);
#else
  static_cast<void>(outcome);
#endif
}

} // namespace

worker_actor::behavior_type worker(worker_actor::stateful_pointer<worker_state> self, worker_deps deps) {
  install_default_handlers(self, worker_state::name);
  settle_allocator();
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(self->state.deps.kind, self->state.deps.key);
  return {
    [self](const msg::job& job) -> caf::result<msg::job_result> {
      auto& st = self->state;
      const handling h{*st.cell, "job", self->mailbox().size()};
      st.cell->set_detail("job", job.kind == msg::job_kind::sync ? to_string(job.sync.key) : job.remote.url);
      auto outcome = run_job(job, *st.deps.tools, [&st](const std::string& phase, const std::string& detail) {
        st.cell->set_state(phase);
        st.cell->set_detail("progress", detail);
      });
      st.cell->set_state("idle");
      st.cell->set_detail("job", "");
      st.cell->set_detail("progress", "");
      release_memory(outcome);
      if (!outcome)
        return to_error(outcome.error());
      return std::move(*outcome);
    },
  };
}

} // namespace veranda
