#pragma once

// Messages within one node. They are values, but hold model types without serialisers and shared immutable payloads on purpose:
// CAF refuses to serialise them, so none can leave the process. What crosses nodes lives in messages/wire.

#include "messages/model/cache.hpp"
#include "messages/model/listing.hpp"
#include "messages/model/stored_object.hpp"
#include "messages/model/sync.hpp"
#include "messages/model/sync_plan.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <condition_variable>
#include <mutex>

namespace veranda {

namespace logic {
struct admission_limits;
struct machine_settings;
}

using repository_object_ptr = std::shared_ptr<const repository_object>;

/// Where the fields of a remote that its actors need stand: canonical URL, and whose Secret opens it.
struct remote_identity {
  std::string url;    ///< canonical
  std::string ns;     ///< of the Secret and CA bundle; empty when anonymous without either
  std::string secret; ///< empty: anonymous
  auto operator<=>(const remote_identity&) const = default;
};
/// `url` or `url#ns/secret`; never holds a secret.
std::string to_string(const remote_identity& id);

namespace msg {

// -- watcher, manifest follower -> supervisor ----------------------------------------------------

/// A whole list: whatever is not in it is gone.
struct repositories_listed {
  std::shared_ptr<const std::vector<repository_object>> objects;
};
/// One object was added or modified, or deleted.
struct repository_changed {
  repository_object_ptr object;
  bool deleted = false;
};
/// A Secret's bytes changed; who uses it syncs.
struct secret_changed {
  object_key secret;
};
/// INTERNAL: the next slice of a reader on its own thread.
struct continue_reading {};

// -- supervisor ----------------------------------------------------------------------------------

/// Waits until every repository that is not suspended has finished one sync; answers how many ended well and how many did not.
struct await_first_syncs {};
struct first_syncs {
  std::uint64_t ready = 0;
  std::uint64_t failed = 0;
  std::uint64_t suspended = 0;
};
/// A repository has finished its first sync of this process.
struct first_sync_finished {
  object_key key;
  bool ok = false;
};
/// Settings were read anew: repositories, those that begin later included, decide by these.
struct settings_changed {
  std::shared_ptr<const logic::machine_settings> machine;
};
/// Settings were read anew: how much may run and wait from now on. What runs or waits goes on.
struct limits_changed {
  std::shared_ptr<const logic::admission_limits> limits;
  std::chrono::milliseconds job_timeout{0}; ///< of jobs that start from now on
};
/// INTERNAL timers.
struct restart_due {
  object_key key;
  std::uint64_t epoch = 0;
};
/// INTERNAL timer: the actor of a remote that ended unexpectedly is started again.
struct remote_due {
  remote_identity remote;
};
struct consistency_due {};
struct conflicts_due {};
/// INTERNAL timer: the durable states are asked for again.
struct restore_due {};
/// INTERNAL timer: rows that nobody speaks for are removed again.
struct orphan_due {
  std::string uid;
};
/// INTERNAL timer: an object that is being deleted is let go of again.
struct release_due {
  std::string uid;
};

// -- repository ----------------------------------------------------------------------------------

/// SyncHandler of the design of Porch's repository sync: SyncOnce, Key, GetSpec.
struct sync_now {
  sync_cause cause = sync_cause::user;
  bool full = false;
};
/// Answer to `sync_now`: how the sync that served the request ended.
struct sync_done {
  bool ok = false;
  bool unchanged = false;
  std::string error;
  sync_stats stats;
};
struct get_key {};
struct get_spec {};
struct repository_state_view {
  repository_status status;
  durable_state durable;
  std::string phase;
  std::string place; ///< in the queue, and why it waits there; empty: it does not wait
  sync_plan plan = {};
  std::string remote = {}; ///< its identity as text; empty: it has none
};
struct get_state {};
/// OpenRepository: the object's present state; older generations of the same uid are harmless.
struct conflicts_changed {
  std::vector<std::string> others;
};
/// CloseRepository: cancel what runs, leave the remote, remove the rows, end.
struct close_repository {};
/// INTERNAL timer: look at the machine's due times.
struct wake_due {
  std::uint64_t epoch = 0;
};
/// INTERNAL timer: durable state that could not be written is written again.
struct persist_due {
  std::uint64_t epoch = 0;
};
/// INTERNAL timer: try to claim again.
struct claim_due {
  std::uint64_t epoch = 0;
};

// -- remote --------------------------------------------------------------------------------------

/// A repository looks at this remote from now on (again with other values when its spec changes).
struct join_remote {
  std::string uid;
  std::string branch;
};
struct leave_remote {
  std::string uid;
};
/// The remote's refs. A listing begun at or after `not_before` serves; `known_digest` equal to the answer's digest leaves its table out.
struct get_listing {
  std::string uid;
  std::string known_digest;
  std::chrono::steady_clock::time_point not_before{};
  bool user = false; ///< a person waits for it
};
using listing_ptr = std::shared_ptr<const git::listing>;

/// Where the listing or the sync of a repository waits, and for what; answered with one clause, empty when it does not wait.
struct get_place {
  std::string uid;
};

/// What a repository asks to be done on a worker slot: fetch when needed, discover, stream contents, compare.
struct run_sync {
  std::string sync_id;
  object_key key;
  std::string uid;
  std::shared_ptr<const repository_spec> spec;
  ref_table_ptr target; ///< as listed
  sync_basis basis;     ///< of `target`
  bool user = false;    ///< goes in the lane for people
  bool full = false;
  cancel_token_ptr cancel;
};
struct sync_result {
  package_delta delta;
  std::uint64_t fetched_bytes = 0;
  bool fetched = false;
  std::string note;
  std::chrono::microseconds fetch_time{0};
  std::chrono::microseconds discover_time{0};
  std::chrono::microseconds store_time{0};
  std::uint64_t objects_read = 0;
};
using sync_result_ptr = std::shared_ptr<const sync_result>;

// -- secret keeper -------------------------------------------------------------------------------

/// The credentials of a remote are about to be used: what is known of them is to be young.
struct fetch_secrets {
  remote_identity remote;
};
/// How it ended: whether the remote could not be read for want of other credentials.
struct secrets_tried {
  remote_identity remote;
  bool refused = false;
};
/// The remote is no more.
struct secrets_unused {
  remote_identity remote;
};
/// INTERNAL timer: those that were refused are looked at again.
struct recheck_secrets {};

// -- hosts ---------------------------------------------------------------------------------------

/// A remote is about to ask its host. Answered when it may; refused with `host_unavailable` while the host is taken to be down, with `overloaded` while the host
/// wants to be left alone. Held while somebody else finds out whether the host is back.
struct enter_host {
  std::string host;   ///< `https://git.example:8443`
  std::string remote; ///< its identity
  std::string budget; ///< whose requests the host counts these among: a Secret's, or empty
  bool user = false;  ///< a person waits: may be tried although it is not time yet
  bool fetch = false; ///< follows a listing that was just made: only the host's own wish holds it back
};
struct host_pass {
  std::uint64_t probe = 0; ///< not 0: this try decides for all who wait for the host
};
/// What came of it: every pass to list is answered with one of these, a fetch when the host wants to be left alone.
struct host_answered {
  std::string host;
  std::string remote;
  std::string budget;
  std::uint64_t probe = 0;
  std::optional<failure> why; ///< nothing: it answered
  std::optional<std::chrono::milliseconds> pause; ///< it wants to be left alone for so long
};
/// INTERNAL timer: a try that decides was not heard of, or a host's wish is over.
struct host_due {
  std::string host;
  std::uint64_t epoch = 0;
};

// -- http ----------------------------------------------------------------------------------------

/// Start one listing over http(s) on the multi thread.
struct list_http {
  remote_identity remote;
  git::ref_prefixes prefixes;
  std::string known_digest;
  cancel_token_ptr cancel;
  bool user = false; ///< a person waits for it
};
/// INTERNAL: drive the transfers for another slice.
struct continue_transfers {};

// -- workers -------------------------------------------------------------------------------------

enum class job_kind : std::uint8_t { list, sync, remove_mirror, sweep_mirrors };

/// One blocking job, self-contained. Workers keep nothing between jobs.
struct job {
  job_kind kind = job_kind::sync;
  std::uint64_t id = 0;
  remote_identity remote;
  std::string mirror; ///< directory of the mirror; sweep_mirrors: the directory of all mirrors
  std::vector<std::string> keep; ///< sweep_mirrors: names that stay
  git::ref_prefixes prefixes;
  std::string known_digest; ///< list
  ref_table_ptr mirror_target; ///< sync: what the mirror is brought to, for all repositories of the remote
  run_sync sync;            ///< sync
  cancel_token_ptr cancel;
};
struct job_result {
  listing_ptr listed;     ///< list
  sync_result_ptr synced; ///< sync
};
/// Jobs whose token was stopped while they wait are answered at once.
struct drop_stopped_jobs {};
/// Where the job, or the listing, with this token waits: one clause, empty when it does not wait here.
struct find_job {
  cancel_token_ptr cancel;
};

// -- cache writer --------------------------------------------------------------------------------

struct claim_repository {
  object_key key;
  std::string uid;
  std::int64_t epoch = 0;
  std::shared_ptr<const repository_spec> spec; ///< opened with, null for a claim that only closes
};
struct apply_delta {
  store::repository_claim claim;
  std::shared_ptr<const package_delta> delta;
  durable_state state;
};
struct put_state {
  store::repository_claim claim;
  durable_state state;
};
struct open_repository {
  store::repository_claim claim;
  std::shared_ptr<const repository_spec> spec;
};
struct close_rows {
  store::repository_claim claim;
};
/// A reader met damage: the whole file is looked through (not more often than `check_interval`), and replaced when it is damaged.
struct check_cache {};
/// Durable states: of one repository (nothing when it is unknown), or of all when `uid` is empty.
struct get_states {
  std::string uid;
};
using states_ptr = std::shared_ptr<const std::vector<durable_state>>;
/// INTERNAL timer.
struct sweep_due {};

/// Back-pressure between a worker that streams contents and the cache writer: at most `credits` batches are unacknowledged. The only object besides the
/// cancel token that two actors share; every wait is bounded by the token.
class content_gate {
public:
  explicit content_gate(int credits) : credits_(credits), total_(credits) {}
  /// Worker: takes a credit, waiting for one. False with the failure filled in when the writer failed or the token ended.
  bool acquire(const cancel_token& cancel, failure& why);
  /// Worker: waits until everything is acknowledged.
  bool drain(const cancel_token& cancel, failure& why);
  /// Writer: one batch is stored, or failed.
  void release(const result<void>& outcome);

private:
  bool wait_for(int wanted, const cancel_token& cancel, failure& why, std::unique_lock<std::mutex>& lock);
  std::mutex mutex_;
  std::condition_variable changed_;
  int credits_;
  int total_;
  std::optional<failure> failed_;
};
struct store_contents {
  std::shared_ptr<const store::content_batch> batch;
  std::shared_ptr<content_gate> gate;
};

// -- object store, status writer -----------------------------------------------------------------

enum class object_operation : std::uint8_t { create, update, update_status, merge_patch, remove };
struct write_object {
  object_operation operation = object_operation::create;
  std::string resource;
  object_key key;
  std::string uid;
  std::string json;
};
using stored_object_ptr = std::shared_ptr<const store::stored_object>;

/// The object is to carry our finalizer; `seen` is how it was when it was last seen.
struct hold_object {
  object_meta seen;
};
/// Our finalizer is to go from the object.
struct release_object {
  object_key key;
  std::string uid;
};

struct publish_status {
  object_key key;
  std::string uid;
  repository_status status;
  std::string sync_id;
};
/// The repository is gone: nothing that was said of it matters any more.
struct forget_status {
  object_key key;
  std::string uid;
};
/// Waits until nothing is left to write.
struct flush_status {};
/// INTERNAL timer.
struct status_retry_due {
  std::uint64_t epoch = 0;
};

} // namespace msg
} // namespace veranda

#define VERANDA_LOCAL_MESSAGE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
VERANDA_LOCAL_MESSAGE(veranda::failure)
VERANDA_LOCAL_MESSAGE(veranda::object_key)
VERANDA_LOCAL_MESSAGE(veranda::repository_object_ptr)
VERANDA_LOCAL_MESSAGE(veranda::store::repository_claim)
VERANDA_LOCAL_MESSAGE(veranda::store::apply_result)
VERANDA_LOCAL_MESSAGE(veranda::msg::repositories_listed)
VERANDA_LOCAL_MESSAGE(veranda::msg::repository_changed)
VERANDA_LOCAL_MESSAGE(veranda::msg::secret_changed)
VERANDA_LOCAL_MESSAGE(veranda::msg::continue_reading)
VERANDA_LOCAL_MESSAGE(veranda::msg::await_first_syncs)
VERANDA_LOCAL_MESSAGE(veranda::msg::first_syncs)
VERANDA_LOCAL_MESSAGE(veranda::msg::first_sync_finished)
VERANDA_LOCAL_MESSAGE(veranda::msg::settings_changed)
VERANDA_LOCAL_MESSAGE(veranda::msg::limits_changed)
VERANDA_LOCAL_MESSAGE(veranda::msg::restart_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::remote_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::consistency_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::conflicts_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::orphan_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::restore_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::release_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::hold_object)
VERANDA_LOCAL_MESSAGE(veranda::msg::release_object)
VERANDA_LOCAL_MESSAGE(veranda::msg::fetch_secrets)
VERANDA_LOCAL_MESSAGE(veranda::msg::secrets_tried)
VERANDA_LOCAL_MESSAGE(veranda::msg::secrets_unused)
VERANDA_LOCAL_MESSAGE(veranda::msg::recheck_secrets)
VERANDA_LOCAL_MESSAGE(veranda::msg::drop_stopped_jobs)
VERANDA_LOCAL_MESSAGE(veranda::msg::sync_now)
VERANDA_LOCAL_MESSAGE(veranda::msg::sync_done)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_key)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_spec)
VERANDA_LOCAL_MESSAGE(veranda::msg::repository_state_view)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_state)
VERANDA_LOCAL_MESSAGE(veranda::msg::conflicts_changed)
VERANDA_LOCAL_MESSAGE(veranda::msg::close_repository)
VERANDA_LOCAL_MESSAGE(veranda::msg::wake_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::persist_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::claim_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::join_remote)
VERANDA_LOCAL_MESSAGE(veranda::msg::leave_remote)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_listing)
VERANDA_LOCAL_MESSAGE(veranda::msg::listing_ptr)
VERANDA_LOCAL_MESSAGE(veranda::msg::run_sync)
VERANDA_LOCAL_MESSAGE(veranda::msg::sync_result_ptr)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_place)
VERANDA_LOCAL_MESSAGE(veranda::msg::enter_host)
VERANDA_LOCAL_MESSAGE(veranda::msg::host_pass)
VERANDA_LOCAL_MESSAGE(veranda::msg::host_answered)
VERANDA_LOCAL_MESSAGE(veranda::msg::host_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::find_job)
VERANDA_LOCAL_MESSAGE(veranda::msg::list_http)
VERANDA_LOCAL_MESSAGE(veranda::msg::continue_transfers)
VERANDA_LOCAL_MESSAGE(veranda::msg::job)
VERANDA_LOCAL_MESSAGE(veranda::msg::job_result)
VERANDA_LOCAL_MESSAGE(veranda::msg::claim_repository)
VERANDA_LOCAL_MESSAGE(veranda::msg::apply_delta)
VERANDA_LOCAL_MESSAGE(veranda::msg::put_state)
VERANDA_LOCAL_MESSAGE(veranda::msg::open_repository)
VERANDA_LOCAL_MESSAGE(veranda::msg::close_rows)
VERANDA_LOCAL_MESSAGE(veranda::msg::check_cache)
VERANDA_LOCAL_MESSAGE(veranda::msg::get_states)
VERANDA_LOCAL_MESSAGE(veranda::msg::states_ptr)
VERANDA_LOCAL_MESSAGE(veranda::msg::sweep_due)
VERANDA_LOCAL_MESSAGE(veranda::msg::store_contents)
VERANDA_LOCAL_MESSAGE(veranda::msg::write_object)
VERANDA_LOCAL_MESSAGE(veranda::msg::stored_object_ptr)
VERANDA_LOCAL_MESSAGE(veranda::msg::publish_status)
VERANDA_LOCAL_MESSAGE(veranda::msg::forget_status)
VERANDA_LOCAL_MESSAGE(veranda::msg::flush_status)
VERANDA_LOCAL_MESSAGE(veranda::msg::status_retry_due)
