#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/package_revision.hpp"
#include "messages/model/refs.hpp"
#include "messages/model/repository.hpp"

#include <atomic>
#include <chrono>
#include <memory>

namespace veranda {

/// Why a sync starts.
enum class sync_cause : std::uint8_t { start, periodic, cron, run_once, user, spec_changed, secret_changed, retry, health, catch_up };
[[nodiscard]] std::string_view to_string(sync_cause c) noexcept;

/// What the cache was last brought in step with. Equal basis means unchanged.
struct sync_basis {
  std::string digest; ///< hex SHA-256 over the visible refs, the spec and the version of the discovery rules
  std::string commit; ///< tip of the registered branch, 40 hex, may be empty
  std::string source = {}; ///< hex SHA-256 over where the spec says that packages are: URL, branch, directory; empty: not known
  bool operator==(const sync_basis&) const = default;
};

/// Counts of one sync, in the words of Porch's log.
struct sync_stats {
  std::uint64_t cached_only = 0;   ///< removed from the cache
  std::uint64_t external_only = 0; ///< added to the cache
  std::uint64_t both = 0;
  std::uint64_t changed = 0; ///< of `both`
  std::uint64_t bad = 0;
  std::uint64_t packages = 0;  ///< distinct packages after the sync
  std::uint64_t revisions = 0; ///< revisions after the sync
  std::uint64_t fetched_bytes = 0;
  bool operator==(const sync_stats&) const = default;
};

/// Removals that a sync found and did not carry out, because they were too many at once.
struct deletion_hold {
  std::uint64_t count = 0; ///< revisions that the remote no longer has and the cache keeps
  std::uint64_t total = 0; ///< revisions in the cache when they were counted, these included
  std::uint64_t base = 0;  ///< revisions in the cache when the hold began: what `count` is judged against as long as it stands
  std::string permit;      ///< names these very removals of this very hold: who says it allows them
  std::string cause;       ///< one clause for people
  wall_time since{};       ///< when the hold began
  wall_time agreed{};      ///< when these very revisions were first found missing
  bool operator==(const deletion_hold&) const = default;
};

/// Where the time of one sync went. What did not happen, or is not known because the sync failed in it, is zero.
struct sync_phases {
  std::chrono::milliseconds listing{0};   ///< until the remote's refs were known
  std::chrono::milliseconds waiting{0};   ///< for the mirror and for a worker
  std::chrono::milliseconds fetch{0};
  std::chrono::milliseconds discovery{0};
  std::chrono::milliseconds apply{0};     ///< contents, then rows
  bool operator==(const sync_phases&) const = default;
};

/// One finished sync, kept with the last 20 of its repository.
struct sync_run {
  std::string sync_id;
  sync_cause cause = sync_cause::start;
  wall_time started{};
  std::chrono::milliseconds duration{0};
  bool ok = false;
  bool unchanged = false;
  std::string error; ///< `code: text`, empty when ok
  sync_stats stats;
  sync_phases phases = {};
  bool operator==(const sync_run&) const = default;
};

/// What survives a restart, per repository uid. Written in the transaction that makes it true.
struct durable_state {
  object_key key;
  std::string uid;
  std::int64_t fence = 0;
  sync_basis basis;
  std::optional<wall_time> accepted_run_once;
  std::optional<wall_time> consumed_run_once;
  std::string handled_request; ///< value of the last handled `veranda.dev/sync-requested-at`
  std::optional<wall_time> last_success;
  std::string last_error;
  std::optional<ec> last_error_code;
  std::optional<wall_time> next_sync;
  std::uint64_t revisions = 0;
  std::uint64_t packages = 0;
  std::vector<bad_item> bad; ///< first few
  std::uint64_t bad_count = 0;
  std::vector<sync_run> runs; ///< newest last, at most 20
  std::optional<deletion_hold> hold = {}; ///< stands until a sync finds otherwise
  bool operator==(const durable_state&) const = default;
};

/// The difference between what a remote holds and what the cache holds. Ids only, no contents.
struct package_delta {
  std::vector<package_revision> added;
  std::vector<package_revision> changed;
  std::vector<std::string> removed; ///< object names
  std::vector<bad_item> bad;
  sync_basis basis;
  sync_stats stats;
  [[nodiscard]] bool empty() const noexcept { return added.empty() && changed.empty() && removed.empty(); }
  bool operator==(const package_delta&) const = default;
};

/// Set from one thread, read from another; the only mutable thing that two actors share.
struct cancel_token {
  std::atomic<bool> stop{false};
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  [[nodiscard]] bool expired() const noexcept { return stop.load(std::memory_order_relaxed) || std::chrono::steady_clock::now() >= deadline; }
  /// `cancelled` when stopped, `timed_out` when only the deadline passed.
  [[nodiscard]] ec reason() const noexcept { return stop.load(std::memory_order_relaxed) ? ec::cancelled : ec::timed_out; }
};
using cancel_token_ptr = std::shared_ptr<cancel_token>;

} // namespace veranda
