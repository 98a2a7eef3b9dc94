#pragma once

#include "actors/supervisor/lives.hpp"

namespace veranda {

// What the supervisor does about lists and changes of objects. Called by the supervisor itself.

/// The watcher's list. The first one waits for the durable states, as what is restored decides what a first sync has to do.
void on_list(supervisor_pointer self, const msg::repositories_listed& m);
void on_change(supervisor_pointer self, const msg::repository_changed& m);
/// Asks for the durable states, again and again until they come; then lists and changes are gone through.
void restore(supervisor_pointer self);

/// The status of an entry's object, as it is now, is nobody's any more.
void forget_status(supervisor_pointer self, const supervisor_state::entry& e);
/// Nothing is left of an entry, nor of its status.
void forget(supervisor_pointer self, std::map<object_key, supervisor_state::entry>::iterator at);

/// Answers who waits for the first sync of every repository, once all of them have ended.
void answer_first_syncs(supervisor_state& st);
/// Shows how many there are in the cell.
void show(supervisor_state& st);

} // namespace veranda
