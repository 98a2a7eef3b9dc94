#pragma once

#include "messages/model/sync.hpp"

#include <string>
#include <vector>

namespace veranda::logic {

/// Types of the conditions on a Repository; `ready` is always the first.
namespace condition_types {
inline constexpr std::string_view ready = "Ready";
inline constexpr std::string_view reconciling = "Reconciling";
inline constexpr std::string_view stalled = "Stalled";
inline constexpr std::string_view packages_degraded = "PackagesDegraded";
inline constexpr std::string_view deletion_held = "DeletionHeld";
inline constexpr std::string_view schedule_invalid = "ScheduleInvalid";
inline constexpr std::string_view repository_conflict = "RepositoryConflict";
} // namespace condition_types

// Builders. All are pure and leave `last_transition` and `observed_generation` to `stamp`. Messages are bounded.

/// A sync is in progress: not `Ready`, with Porch's reason `Reconciling` and its text.
[[nodiscard]] condition in_progress_condition();
/// `ready`: names the next sync time when one is known; `notes` are what else must be said, each a clause.
[[nodiscard]] condition ready_condition(std::optional<wall_time> next, const std::vector<std::string>& notes);
/// `error` (reason `HostUnavailable` when the host was not asked for it): text, class and what to do, unless the text itself says that (behind a semicolon). `secret`: the
/// name of the Secret that the object names, or empty. The same for the same failure, whatever the time, so that a retry rewrites nothing.
[[nodiscard]] condition error_condition(const failure& f, const std::string& secret = {});
/// Never synced and not allowed to.
[[nodiscard]] condition suspended_condition();
/// kstatus: on its way to the wanted state. `Reconciling` with reason `Syncing`, or `Retrying` with the time of the next try.
[[nodiscard]] condition reconciling_condition();
[[nodiscard]] condition retrying_condition(ec code, std::optional<wall_time> next);
/// kstatus: only a change by somebody helps. Without `next` only a change of the object is waited for.
[[nodiscard]] condition stalled_condition(ec code, std::optional<wall_time> next);
/// Items that are not, or not wholly, in the cache: their count and the first few reasons.
[[nodiscard]] condition packages_degraded_condition(const std::vector<bad_item>& first_few, std::uint64_t count);
/// Removals that wait for a permit: how many of how many, why, and what gives it. `release`: when they are carried out without one.
[[nodiscard]] condition deletion_held_condition(const deletion_hold& hold, const object_key& key, unsigned max_percent, std::optional<wall_time> release);
/// The same for the Ready condition, as a clause.
[[nodiscard]] std::string held_note(const deletion_hold& hold);
/// The cron expression is not followed, and what holds instead.
[[nodiscard]] condition schedule_invalid_condition(const std::string& expression, const std::string& problem, std::chrono::milliseconds instead);
/// Other Repository objects, `ns/name`, over the same packages.
[[nodiscard]] condition conflict_condition(const std::vector<std::string>& others);

/// What to do about a failure, one clause per code. Total over `ec`.
[[nodiscard]] std::string_view advice(ec code) noexcept;
/// Everything that is wrong with an object as one failure; nothing when it can be synced.
[[nodiscard]] std::optional<failure> spec_failure(const repository_object& object);
/// `no packages found under "dir" on branch main`.
[[nodiscard]] std::string nothing_found_note(const repository_spec& spec);

/// Sets generation and `last_transition`: kept from `previous` while the status of that type is the same, `now` otherwise.
void stamp(std::vector<condition>& conditions, const std::vector<condition>& previous, std::int64_t generation, wall_time now);
/// What is said of a Repository for which no sync can speak: `Ready` is False for this reason, and nothing else of `published` holds but its other fields.
[[nodiscard]] repository_status blocked_status(repository_status published, std::string why, std::int64_t generation, wall_time now);
/// Equal but for transition times.
[[nodiscard]] bool says_the_same(const repository_status& a, const repository_status& b);
/// Conditions of the same types, statuses and reasons, the published ones of this generation; texts, and conditions of others among the published, do not count.
[[nodiscard]] bool says_alike(const std::vector<condition>& published, const std::vector<condition>& ours, std::int64_t generation);

} // namespace veranda::logic
