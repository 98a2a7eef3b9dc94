#pragma once

#include "messages/model/sync.hpp"

#include <string_view>

namespace veranda::logic {

/// Fewer removals than this are never held.
inline constexpr std::uint64_t least_held = 10;

/// What a delta's removals are judged by.
struct hold_facts {
  const std::optional<deletion_hold>& standing; ///< as of the last sync
  const sync_basis& before;                     ///< that of the last sync
  unsigned max_percent = 50;                    ///< of the revisions that may go at once; 100: all
  std::string_view permit;                      ///< of the hold that was released for this sync; empty: none was
  std::string cause;                            ///< why they are gone, when they are held anew
  wall_time now{};
};

/// The nothing-is-deleted-by-accident rule (docs/adr/0010): what must wait of a delta's removals, the last `count` of them, which is all or none but for what is said
/// below. None of them when they are fewer than `least_held`, no more than `max_percent` of the revisions, permitted, or found somewhere else than before (the user
/// named another URL, branch or directory). While a hold stands, percents are of the revisions that were there when it began: what was added since must not dilute what
/// is held; and no more are held than there were then, the oldest (the removals are to come with the newest first): a remote whose revisions come and go all the time
/// would fill the cache. A hold with the same removals stays as it is; one with others has another permit. Pure.
[[nodiscard]] std::optional<deletion_hold> hold_removals(const package_delta& delta, const hold_facts& facts);

/// The delta without the removals that are held, and with the counts that are true then; packages are left as found, the cache counts them.
[[nodiscard]] package_delta without_held(const package_delta& delta, const deletion_hold& hold);

/// What happened between two syncs, as a clause; `note` is what discovery has to say and comes first when there is anything.
[[nodiscard]] std::string cause_of_removals(const sync_basis& before, const sync_basis& after, const std::string& branch, const std::string& note);

/// When held removals may be carried out without a permit; never when `agreement` is 0.
[[nodiscard]] std::optional<wall_time> release_time(const deletion_hold& hold, std::chrono::milliseconds agreement);

} // namespace veranda::logic
