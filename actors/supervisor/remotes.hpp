#pragma once

#include "actors/supervisor/lives.hpp"

namespace veranda {

// The remotes of the supervisor: one actor per remote identity, kept while a repository uses it.

/// Directory name of a remote's mirror.
std::string mirror_name(const remote_identity& identity);
/// Brings `e` to the remote that its object names, leaving the one it was at; spawns remotes as needed.
void move_to_remote(supervisor_pointer self, supervisor_state::entry& e);
void leave_remote(supervisor_pointer self, supervisor_state::entry& e);
/// The message that tells a repository its object and its remote.
apply_object to_apply(supervisor_pointer self, const supervisor_state::entry& e);
/// A remote ended: forgotten when nobody uses it, else started again; after an unexpected death in a while, longer for each death in a row. Its repositories are told of both.
void remote_down(supervisor_pointer self, const remote_identity& identity, const caf::actor_addr& source, const caf::error& reason);
/// The while has passed.
void on_remote_due(supervisor_pointer self, const remote_identity& identity);

} // namespace veranda
