#pragma once

#include "actors/logic/cron.hpp"
#include "messages/model/sync_plan.hpp"

#include <memory>

namespace veranda::logic {

struct machine_settings {
  std::chrono::milliseconds default_frequency{std::chrono::minutes{10}};
  std::chrono::milliseconds health_check_frequency{std::chrono::minutes{1}};
  std::chrono::milliseconds full_compare_interval{std::chrono::hours{6}};
  std::chrono::milliseconds retry_initial{std::chrono::seconds{5}};
  std::chrono::milliseconds retry_max{std::chrono::minutes{5}};
  std::chrono::milliseconds needs_change_recheck{std::chrono::minutes{10}};
  unsigned max_delete_percent = 50; ///< of the revisions that may be removed at once; 100: all
  std::chrono::milliseconds release_deletions_after{0}; ///< 0: held removals wait for a permit
  std::string time_zone = "UTC";
  /// Share of the default frequency and of the health check's (0 to 0.9) by which the first wait after the start of the process is shortened, by a
  /// stable hash of the remote, so that repositories started together do not stay together. 0: not at all.
  double spread = 0.0;
  bool operator==(const machine_settings&) const = default;
};

/// What a sync that the machine starts has to do.
struct sync_order {
  std::string sync_id;
  sync_cause cause = sync_cause::start;
  bool fresh = false; ///< the listing must begin after now; otherwise one at most 5 s old serves
  bool full = false;  ///< compare everything, do not trust the basis
  bool recheck = false; ///< compare although the basis is equal: removals are held, and may be judged differently now
  std::string permit = {}; ///< of the held removals that are allowed
  wall_time due{};    ///< when it should have begun; lateness is the time of the start minus this
  bool operator==(const sync_order&) const = default;
};

/// How a started sync ended.
struct sync_outcome {
  std::string sync_id;
  std::optional<failure> error;
  bool unchanged = false; ///< the basis was equal: nothing was fetched or written
  sync_basis basis;       ///< on success
  sync_stats stats;
  std::vector<bad_item> bad;
  std::optional<deletion_hold> hold; ///< the removals that `judge` found too many, and that were not carried out
  std::string note; ///< what was found when it needs saying: `no packages found in ...`, empty otherwise
  sync_phases phases = {};
};

/// What the actor must do after a step. The machine itself does nothing.
struct effects {
  std::optional<sync_order> start; ///< begin this sync now; the machine is `syncing` until `on_finished`
  bool cancel_running = false;     ///< set the running sync's cancel token; its `on_finished` is still expected
  bool publish = false;            ///< `status()` says something new
  bool told = false;               ///< of `publish`: all but times and fence was published before the restart, and the sync under way will say more; needs no write
  bool persist = false;            ///< `durable()` changed outside of a sync's own transaction
  std::vector<std::string> log;    ///< lines that the design of Porch's repository sync names, without prefix
};

/// The planned next sync and why then.
struct next_sync {
  std::optional<wall_time> at;
  std::string cause; ///< `periodic`, `cron`, `runOnceAt`, `retry`, `suspended`, `invalid`, `syncing`
  bool operator==(const next_sync&) const = default;
};

/// Every decision of one repository: what to sync when, what to say about it. Pure: no clock, no I/O; `now` is an argument, randomness comes from
/// the given seed. One sync at most is in flight; a trigger that arrives meanwhile is remembered and none is lost.
///
/// Rules (Porch's with their defects mended; docs/replacing-porch-sync.md has the differences):
/// * First object: one sync at once (`start`; `catch_up` when the restored next time has passed). A restored state keeps last success and error.
/// * Periodic: default frequency after the end of the last sync, or cron's next time; recalculated the moment the schedule changes, without a sync.
///   A cron run that comes due while a sync runs follows it at once. A bad expression falls back to the default frequency and condition
///   `ScheduleInvalid` says so. A cron without a next time: default frequency, said too.
/// * `runOnceAt` (whole seconds): independent of the periodic schedule. In the future when first seen: accepted (durable) and armed; past when first
///   seen and not accepted before: skipped, said in a log line. Changed: moved. Cleared: cancelled. Accepted and missed while down: runs at once.
///   Consumed by a successful sync begun at or after it, or by the failure after which only retries follow. An accepted value survives an invalid object.
/// * A change of type, URL, branch, createBranch, directory, credentials reference, registry or deployment syncs at once (`spec_changed`) and cancels a
///   running sync, whose duties pass to the new one; of description, author and e-mail nothing; of schedule only re-plans.
/// * `veranda.dev/sync-requested-at` with a new value: sync (`user`, fresh; full with `veranda.dev/sync-mode: full`); handled (durable) when the sync that
///   was started for it ends. A value that arrives while a sync runs belongs to the next one.
/// * Triggers that arrive while a sync runs make it `dirty`: one sync follows at once, as full and fresh as the strongest of them asked for.
/// * `veranda.dev/suspend: "true"`: a running sync is cancelled, nothing runs until it is removed (then one sync); requests are remembered.
/// * An object with problems, of type oci or being deleted: a running sync is cancelled, nothing runs until it is mended; the rest of the state stays.
/// * Failures: class retry (and bug): exponential backoff with full jitter from `retry_initial` to `retry_max`, and not before `retry_after`; wait:
///   `retry_after` or `retry_max`; needs change: `needs_change_recheck`, `not_found` as often as a health check; race: at once with a fresh listing, at most 3 times in a row, then as retry; damaged: at
///   once once, then as needs change; stop: no status change, taken up again after `retry_initial` to twice that when nobody here asked for the stop. In any case
///   the next scheduled time holds when it is earlier. `overloaded` is never shown as an error. Waits are lengthened by up to a tenth.
/// * Health check: a listing every `health_check_frequency` (not while a retry is planned, nor when it is 0), cause `health`; with a cron expression it
///   only keeps the condition honest: moved refs then wait for the schedule (see `on_listed_changed`). One that finds nothing moves no schedule.
/// * Removals that are too many at once (`judge`) are held: the rest of the delta is applied, the basis is the new one, so that syncs are listings until the refs
///   move, a permit comes (annotation `veranda.dev/allow-deletion`, whatever else it says is ignored) or `release_deletions_after` is over. Then, and in the first sync
///   of a process, which may have other settings, the comparison is made again.
/// * Every `full_compare_interval` since the last full one (0: never), the next periodic sync is full.
/// * In progress is shown from `on_listed_changed` on (from the start when nothing is known yet), so a sync that finds nothing flips no condition.
/// * Clock steps: due times are judged by `now`; a step backwards re-plans a periodic due time further away than one period (or than cron's second next
///   time: a small step must not repeat the run just done), and no retry or health check waits longer than it was meant to.
///
/// A value: copies are independent.
class repository_machine {
public:
  repository_machine(machine_settings settings, std::uint64_t seed, std::optional<durable_state> restored);
  ~repository_machine();
  repository_machine(const repository_machine& other);
  repository_machine& operator=(const repository_machine& other);
  repository_machine(repository_machine&&) noexcept;
  repository_machine& operator=(repository_machine&&) noexcept;

  /// What was published before the restart, if known; before the first `on_object`. Keeps transition times and the observed generation. It decides one thing:
  /// a one-time sync that was announced was accepted, also when the process died before that was stored.
  void restore_status(const repository_status& published);

  /// The object was added or modified (any field). The first call starts the life of the machine.
  effects on_object(const repository_object& object, wall_time now);
  /// Time has passed; does whatever is due.
  effects on_time(wall_time now);
  /// A trigger from outside the spec (`user`, `secret_changed`, `retry`).
  effects on_trigger(sync_cause cause, bool full, wall_time now);
  /// The running sync's listing differs from the basis, or the sync goes on anyway because it is a full one. Answers whether to go on: false for a health check of a repository with a cron
  /// expression (the sync then ends as unchanged with the old basis, and nothing is published as in progress).
  bool on_listed_changed(wall_time now, effects& out);
  /// Whether the removals of the running sync's delta must wait; `note` as in its outcome. Nothing: they may be carried out.
  [[nodiscard]] std::optional<deletion_hold> judge(const package_delta& delta, const std::string& note, wall_time now) const;
  /// The started sync ended; once for each. Another `sync_id` than the running one's is ignored.
  effects on_finished(const sync_outcome& outcome, wall_time now);
  /// When `on_time` should be called at the latest. Nothing while a sync runs or none may.
  [[nodiscard]] std::optional<wall_time> next_due() const;
  [[nodiscard]] next_sync planned() const;
  /// All that is planned, with the next `times` of the schedule alone.
  [[nodiscard]] sync_plan plan(wall_time now, std::size_t times) const;
  [[nodiscard]] bool syncing() const noexcept;
  [[nodiscard]] bool dirty() const noexcept;
  [[nodiscard]] const repository_object& object() const noexcept;
  /// Status to publish: `Ready` first (reasons and texts of Porch; ready names the next sync time), then `Reconciling`, `Stalled`,
  /// `PackagesDegraded`, `DeletionHeld`, `ScheduleInvalid`, `RepositoryConflict`, present (True) only while they apply. `last_transition` of a condition moves only when its status moves; `Ready` is compared with the last published one.
  [[nodiscard]] repository_status status(wall_time now);
  /// What must survive a restart, as of now.
  [[nodiscard]] durable_state durable() const;
  /// The durable state as it will be when `outcome` has been accepted: written in the same transaction as its delta.
  [[nodiscard]] durable_state durable_after(const sync_outcome& outcome, wall_time now) const;
  void set_fence(std::int64_t fence);
  /// Other Repository objects that conflict with this one (1.1), by `ns/name`; reported, never blocking. Publishes when it changed.
  effects set_conflicts(std::vector<std::string> others, wall_time now);
  /// Decides by other settings from now on. Another frequency or time zone only re-plans; nothing that is due is lost. A running sync goes on.
  effects set_settings(const machine_settings& settings, wall_time now);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace veranda::logic
