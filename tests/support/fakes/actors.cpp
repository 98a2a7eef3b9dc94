#include "tests/support/fakes/actors.hpp"

#include <caf/event_based_actor.hpp>

namespace veranda::test {

namespace {

/// Runs `work` as a job of its own.
void run_later(caf::scheduled_actor* self, std::function<void()> work) {
  self->home_system().spawn([work = std::move(work)](caf::event_based_actor*) { work(); });
}

} // namespace

http_actor::behavior_type fake_http(http_actor::pointer self, std::shared_ptr<http_script> script) {
  return {
    [self, script](const msg::list_http& m) -> caf::result<msg::listing_ptr> {
      auto promise = self->make_response_promise<msg::listing_ptr>();
      http_script::held_listing one{m, kept_promise{promise}};
      if (script->hold)
        script->held.push_back(std::move(one));
      else
        run_later(self, [script, one]() mutable { script->answer(one); });
      return promise;
    },
    [script](const msg::find_job& m) { return m.cancel == script->waiting ? std::string{"number 1 of 1 that wait for a connection: all connections are busy"} : std::string{}; },
    [](const msg::limits_changed&) {},
    [](const msg::continue_transfers&) {},
  };
}

worker_actor::behavior_type fake_worker(worker_actor::pointer self, std::shared_ptr<worker_script> script) {
  self->set_exception_handler([](std::exception_ptr&) { return to_error({ec::internal, "the worker threw", {}, {}, {}}); });
  return {
    [self, script](const msg::job& job) -> caf::result<msg::job_result> {
      if (job.kind == msg::job_kind::sync && std::exchange(script->throws, false))
        throw std::runtime_error("a bug in a job");
      auto promise = self->make_response_promise<msg::job_result>();
      worker_script::held_job one{job, kept_promise{promise}};
      script->begin(job);
      if (script->hold && job.kind != msg::job_kind::sweep_mirrors)
        script->held.push_back(std::move(one));
      else
        run_later(self, [script, one]() mutable { script->end(one); });
      return promise;
    },
  };
}

object_store_actor::behavior_type fake_object_store(object_store_actor::pointer self, std::shared_ptr<store_script> script) {
  return {
    [self, script](const msg::write_object& m) -> caf::result<msg::stored_object_ptr> {
      auto promise = self->make_response_promise<msg::stored_object_ptr>();
      store_script::held_write one{m, kept_promise{promise}};
      if (script->hold)
        script->held.push_back(std::move(one));
      else
        script->answer(one);
      return promise;
    },
  };
}

supervisor_actor::behavior_type fake_supervisor(supervisor_actor::pointer, std::shared_ptr<supervisor_script> script) {
  auto hear = [script](std::string what) { script->heard.push_back(std::move(what)); };
  return {
    [script, hear](const msg::repositories_listed& m) {
      script->listed = *m.objects;
      hear("list " + std::to_string(m.objects->size()));
    },
    [hear](const msg::repository_changed& m) { hear((m.deleted ? "deleted " : "changed ") + to_string(m.object->meta.key)); },
    [hear](const msg::secret_changed& m) { hear("secret " + to_string(m.secret)); },
    [hear](const msg::first_sync_finished& m) { hear("first " + to_string(m.key) + (m.ok ? " ok" : " failed")); },
    [](const msg::settings_changed&) {},
    [](const msg::await_first_syncs&) { return msg::first_syncs{}; },
    [](const object_key&, const msg::get_state&) { return msg::repository_state_view{}; },
    [](const msg::restart_due&) {},
    [](const msg::remote_due&) {},
    [](const msg::consistency_due&) {},
    [](const msg::conflicts_due&) {},
    [](const msg::orphan_due&) {},
    [](const msg::release_due&) {},
    [](const msg::restore_due&) {},
  };
}

} // namespace veranda::test
