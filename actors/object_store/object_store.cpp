#include "actors/object_store/object_store.hpp"

#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

result<store::stored_object> perform(store::object_store& objects, const msg::write_object& m) {
  switch (m.operation) {
  case msg::object_operation::create: return objects.create(m.resource, m.json);
  case msg::object_operation::update: return objects.update(m.resource, m.json);
  case msg::object_operation::update_status: return objects.update_status(m.resource, m.key, m.uid, m.json);
  case msg::object_operation::merge_patch: return objects.merge_patch(m.resource, m.key, m.json);
  case msg::object_operation::remove: return objects.remove(m.resource, m.key);
  }
  return failure{ec::internal, "unknown object operation", to_string(m.key), {}, {}};
}

const char* name_of(msg::object_operation operation) {
  constexpr const char* names[] = {"create", "update", "update_status", "merge_patch", "remove"};
  return names[static_cast<unsigned>(operation)];
}

} // namespace

object_store_actor::behavior_type object_store_writer(object_store_actor::stateful_pointer<object_store_state> self,
                                                      object_store_deps deps) {
  install_default_handlers(self, object_store_state::name);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(object_store_state::name, "");
  return {
    [self](const msg::write_object& m) -> caf::result<msg::stored_object_ptr> {
      auto& st = self->state;
      const handling h{*st.cell, name_of(m.operation), self->mailbox().size()};
      auto stored = perform(*st.deps.objects, m);
      st.deps.health->note(stored ? nullptr : &stored.error());
      if (!stored) {
        st.cell->set_last_error(describe(stored.error()));
        return to_error(stored.error());
      }
      if (st.deps.committed)
        st.deps.committed();
      return std::make_shared<const store::stored_object>(std::move(*stored));
    },
  };
}

} // namespace veranda
