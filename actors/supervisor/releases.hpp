#pragma once

#include "actors/supervisor/supervisor.hpp"

namespace veranda {

// Objects that carry our finalizer and are being deleted, or have left what is followed. Their rows go first, in a transaction under a fence of their own; then the mirror, unless others use it; then the
// PackageRev objects; then the finalizer. Each step may be repeated: what a daemon that ended left undone is done by the next one, from what the API server still shows.

/// Whether it is being deleted and we are to act on that.
[[nodiscard]] bool is_being_deleted(const supervisor_state& st, const repository_object& object);
/// Begins, unless that was done or our finalizer cannot be there. Whoever calls it stops the actor of this name, and says which remote that one used.
void begin_release(supervisor_pointer self, const repository_object& object, std::optional<remote_identity> remote);
/// It is followed again: it has an actor now, which holds it.
void cancel_release(supervisor_pointer self, const std::string& uid);
/// Removes the rows of a daemon's last life whose object is not followed any more, and lets go of the object should it be there.
void release_leftover(supervisor_pointer self, const object_key& key, const std::string& uid);
/// Its rows are removed.
void rows_removed(supervisor_pointer self, const std::string& uid);
/// An actor of this name ended, or another has the name now.
void name_is_free(supervisor_pointer self, const object_key& key);
/// The timer of `release_due`.
void release_patience_over(supervisor_pointer self, const std::string& uid);
/// Does what may be done for it now.
void step_release(supervisor_pointer self, const std::string& uid);
/// A mirror went, or will not go.
void step_releases(supervisor_pointer self);

} // namespace veranda
