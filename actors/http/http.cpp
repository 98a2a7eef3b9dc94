#include "actors/http/http.hpp"

#include "actors/common/guard.hpp"
#include "actors/common/endpoint.hpp"
#include "actors/logic/admission.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

using self_ptr = http_actor::stateful_pointer<http_state>;

void drive(self_ptr self) {
  auto& st = self->state;
  st.deps.engine->run_for(st.deps.slice);
  const auto active = st.deps.engine->active();
  st.cell->set_in_flight(static_cast<std::uint32_t>(active));
  st.cell->set_detail("waiting", std::to_string(st.deps.engine->waiting()));
  st.driving = active > 0;
  if (st.driving)
    self->send(self, msg::continue_transfers{});
}

} // namespace

http_actor::behavior_type http_listings(self_ptr self, http_deps deps) {
  install_default_handlers(self, http_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(http_state::name, "");
  return {
    [self](const msg::list_http& m) -> caf::result<msg::listing_ptr> {
      auto& st = self->state;
      const handling h{*st.cell, "list_http", self->mailbox().size()};
      auto endpoint = resolve_endpoint(*st.deps.secrets, m.remote);
      if (!endpoint)
        return to_error(endpoint.error());
      auto promise = self->make_response_promise<msg::listing_ptr>();
      st.deps.engine->start(
        *endpoint, m.prefixes, m.known_digest, m.cancel,
        [promise](result<git::listing> listed) mutable {
          if (listed)
            promise.deliver(std::make_shared<const git::listing>(std::move(*listed)));
          else
            promise.deliver(to_error(listed.error()));
        },
        {m.remote.ns, m.user});
      if (!st.driving) {
        st.driving = true;
        self->send(self, msg::continue_transfers{});
      }
      return promise;
    },
    [self](const msg::find_job& m) {
      const handling h{*self->state.cell, "find_job", self->mailbox().size()};
      return self->state.deps.engine->place_of(m.cancel);
    },
    [self](const msg::limits_changed& m) {
      const handling h{*self->state.cell, "limits_changed", self->mailbox().size()};
      self->state.deps.engine->change_limits(m.limits->slots, m.limits->per_host);
    },
    [self](const msg::continue_transfers&) {
      const handling h{*self->state.cell, "continue_transfers", self->mailbox().size()};
      drive(self);
    },
  };
}

} // namespace veranda
