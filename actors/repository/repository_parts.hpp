#pragma once

// INTERNAL to this folder: what the parts of the repository actor call of each other.

#include "actors/repository/repository.hpp"

namespace veranda::repository_parts {

using self_ptr = repository_actor::stateful_pointer<repository_state>;
constexpr const char* kind = repository_state::name;

inline wall_time wall_now(const repository_state& st) { return st.deps.env.wall_now(); }
inline const repository_spec& spec_of(const repository_state& st) { return st.applied.object->spec; }
inline std::shared_ptr<const repository_spec> shared_spec(const repository_object_ptr& object) { return {object, &object->spec}; }

// effects.cpp: what the machine asks for
/// Says what is so now. `told`: to metrics and dump only.
void publish(self_ptr self, bool told = false);
void persist(self_ptr self);
void apply_effects(self_ptr self, const logic::effects& e);
void stop_as_stale(self_ptr self, const failure& why);

// syncing.cpp: one sync from its start to its end
void begin_sync(self_ptr self, const logic::sync_order& order);
void cancel_running(self_ptr self, const char* why);

// callers.cpp: who waits for the end of a sync
void answer_callers(self_ptr self, const logic::sync_outcome& outcome);
void refuse_callers(repository_state& st, const std::string& why);
void refuse_callers_without_sync(self_ptr self);
void report_when_blocked(self_ptr self);
void report_end(self_ptr self, const std::optional<failure>& error);

// repository.cpp: its life
void claim(self_ptr self);
void take_object(self_ptr self);
void close_if_idle(self_ptr self);
/// What did not work is tried once more, later each time.
void try_later(self_ptr self, const failure& why);

// holding.cpp: its finalizer
/// Whether it is to be set. One that has problems is not synced, and its finalizers may not be what could be read.
[[nodiscard]] bool needs_holding(const repository_state& st);
/// Sets it; what needs it goes on then.
void hold(self_ptr self);
/// Sets it once it may be: somebody took it away.
void hold_again(self_ptr self);
/// It is there, whoever has set it, or is not to be set any more.
void no_longer_unheld(self_ptr self);
/// While it cannot be set, that is what `Ready` says, whatever syncs say.
void overrule_ready(const repository_state& st, repository_status& status);

} // namespace veranda::repository_parts
