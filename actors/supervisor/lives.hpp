#pragma once

#include "actors/supervisor/supervisor.hpp"

namespace veranda {

// The lives of the supervisor's repository actors: begun, ended, begun again after an unexpected death; and the rows of those that left without removing them.

void spawn_repository(supervisor_pointer self, supervisor_state::entry& e);
/// Asks it to remove its rows and end; its end is a down message.
void stop_repository(supervisor_pointer self, supervisor_state::entry& e);
/// Deaths in a row that are worth a word in the conditions of the objects that suffer from them.
inline constexpr unsigned restarts_worth_saying = 5;
/// How long an actor that ended unexpectedly stays away, for so many deaths in a row.
std::chrono::milliseconds restart_delay(const supervisor_deps& deps, unsigned deaths);
/// After an unexpected death: a message in a while, longer for each death in a row.
void restart_later(supervisor_pointer self, supervisor_state::entry& e, const caf::error& reason);
/// The while has passed. What is durable is read first: a store that is away is waited for, and is no death.
void on_restart(supervisor_pointer self, const msg::restart_due& m);
/// Removes the rows of a repository that no actor speaks for; tried again until they are gone.
void close_orphan(supervisor_pointer self, const object_key& key, const std::string& uid);
/// One try for a row that `close_orphan` named; none when its name is taken again.
void remove_orphan(supervisor_pointer self, const std::string& uid);
/// Conflicts are looked for a moment after the last change of the set.
void arm_conflicts(supervisor_pointer self);

} // namespace veranda
