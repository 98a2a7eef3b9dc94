#include "actors/workers/worker.hpp"

#include "actors/common/allocator.hpp"
#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

/// A job that read this much leaves a heap full of holes.
constexpr std::uint64_t many_objects = 1'000;

/// Whether a job leaves much behind that is free.
bool leaves_holes(const msg::job& job, const result<msg::job_result>& outcome) {
  return job.kind == msg::job_kind::sync && (!outcome || (outcome->synced && outcome->synced->objects_read >= many_objects));
}

} // namespace

worker_actor::behavior_type worker(worker_actor::stateful_pointer<worker_state> self, worker_deps deps) {
  install_default_handlers(self, worker_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(self->state.deps.kind, self->state.deps.key);
  return {
    [self](const msg::job& job) -> caf::result<msg::job_result> {
      auto& st = self->state;
      const handling h{*st.cell, "job", self->mailbox().size()};
      st.cell->set_detail("job", job.kind == msg::job_kind::sync ? to_string(job.sync.key) : job.remote.url);
      const auto tools = st.deps.tools.get();
      auto outcome = run_job(job, *tools, [&st](const std::string& phase, const std::string& detail) {
        st.cell->set_state(phase);
        st.cell->set_detail("progress", detail);
      });
      st.cell->set_state("idle");
      st.cell->set_detail("job", "");
      st.cell->set_detail("progress", "");
      if (leaves_holes(job, outcome))
        give_memory_back();
      if (!outcome)
        return to_error(outcome.error());
      return std::move(*outcome);
    },
  };
}

} // namespace veranda
