#pragma once

// INTERNAL to this folder: what the parts of the remote actor call of each other.

#include "actors/remote/remote.hpp"

#include <functional>

namespace veranda::remote_parts {

using self_ptr = remote_actor::stateful_pointer<remote_state>;

/// Every branch that a repository has registered.
[[nodiscard]] std::set<std::string> branches_of(const remote_state& st);
/// Shows in the cell what it does.
void show(remote_state& st);

// asking.cpp: what comes before and after the remote is asked for anything
/// Goes on when what is known of this remote's Secrets is young, or cannot be had.
void with_secrets(self_ptr self, std::function<void()> then);
/// Tells the keeper of Secrets whether the remote could not be read for want of other credentials.
void tell_tried(self_ptr self, bool refused);
/// Goes on when the host may be asked, with the number of the try when it decides for others, too; or hears why not.
void enter_host(self_ptr self, bool user, bool fetch, std::function<void(std::uint64_t)> go, std::function<void(const failure&)> refused);
/// Tells what came of it; `why` is null when the host answered.
void tell_host(self_ptr self, std::uint64_t probe, const failure* why, std::optional<std::chrono::milliseconds> pause);

// listing.cpp: one listing of refs for all who wait
caf::result<msg::listing_ptr> on_get_listing(self_ptr self, const msg::get_listing& m);

// mirror.cpp: one job at a time on the mirror
void next_job(self_ptr self);
/// A job that was stopped while it waits for a worker does not keep those behind it waiting.
void drop_stopped_job(self_ptr self);

} // namespace veranda::remote_parts
