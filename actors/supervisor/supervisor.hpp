#pragma once

#include "actors/remote/remote.hpp"
#include "actors/repository/repository.hpp"
#include "messages/package_revs.hpp"

#include <map>
#include <set>
#include <unordered_map>

namespace veranda {

struct supervisor_deps {
  runtime_env env;
  repository_deps repository; ///< `supervisor` is filled in by the supervisor itself
  remote_deps remote;         ///< identity, mirror and the way it is listed are filled in; `listers` are for local paths
  cache_writer_actor cache;
  worker_pool_actor pool;
  finalizer_keeper_actor finalizers; ///< null: objects are not held, and gone when their source says so
  package_rev_keeper_actor package_revs; ///< null: there are no PackageRev objects
  std::filesystem::path mirrors;
  /// Canonical form of a URL, or the rule it breaks.
  std::function<result<std::string>(const std::string& url)> canonical_url;
  std::function<bool(const std::string& url)> is_local;
  std::function<bool(const std::string& url)> is_http;
  worker_pool_actor distant_listers; ///< for remotes that are neither: over ssh and git://
  /// Whether a namespace has a CA bundle Secret: then even anonymous remotes are its own.
  std::function<bool(const std::string& ns)> has_ca_bundle;
  std::function<void()> first_list_applied;
  std::function<void(const std::string& why)> held_up = {}; ///< what an object that is being deleted waits for, in one line; empty: none waits for others. On the actor's thread
  std::chrono::milliseconds restart_initial{1'000};
  std::chrono::milliseconds restart_max{300'000};
  std::chrono::milliseconds orphan_retry{30'000};
  std::chrono::milliseconds release_retry{5'000}; ///< and twice as long after each that was refused, up to
  std::chrono::milliseconds release_retry_marked{30'000}; ///< for an object that is being deleted, or
  std::chrono::milliseconds release_retry_max{300'000};   ///< for others
  std::chrono::milliseconds mirror_patience{30'000}; ///< how long an object that is being deleted waits for the end of its mirror
  std::chrono::milliseconds restore_retry{2'000};
  std::chrono::milliseconds consistency_interval{600'000}; ///< RepoSyncFrequency
  std::chrono::milliseconds store_timeout{120'000};
};

struct supervisor_state {
  static constexpr const char* name = "supervisor";

  supervisor_state() = default;
  supervisor_state(const supervisor_state&) = delete;
  supervisor_state& operator=(const supervisor_state&) = delete;
  ~supervisor_state(); ///< takes its children along, however it ended

  struct remote_entry {
    remote_actor handle; ///< null while waiting for a restart
    std::chrono::steady_clock::time_point began{};
    unsigned restarts = 0; ///< in a row
    std::map<std::string, std::string> members; ///< uid -> branch
  };
  struct entry {
    repository_object_ptr object;
    repository_actor handle; ///< null while waiting for a restart
    std::optional<remote_identity> remote;
    bool stopping = false;
    repository_object_ptr successor; ///< a new object of the same key that waits for the old one's end
    bool first_done = false;
    bool first_ok = false;
    unsigned restarts = 0; ///< in a row
    std::uint64_t restart_epoch = 0;
    std::vector<std::string> conflicts;
  };
  /// An object that is let go of.
  struct release {
    object_key key;
    std::optional<remote_identity> remote; ///< that it used
    bool rows_gone = false;
    bool objects_gone = false; ///< its PackageRev objects
    bool patient = true; ///< waits for its mirror's end
    bool asked = false;
    bool marked = false; ///< it was seen being deleted, and waits for us
    std::uint64_t number = 0; ///< answers about an earlier one of the same uid do not count
    unsigned refusals = 0;    ///< in a row, each for what somebody has to mend
    std::chrono::steady_clock::time_point not_before{}; ///< the next try, for which a timer is armed
    std::chrono::steady_clock::time_point patient_until = std::chrono::steady_clock::time_point::max(); ///< for the mirror's end; known once the rows are gone
    repository_status status;    ///< as it was seen
    std::int64_t generation = 0; ///< likewise
    std::string holdup;          ///< what its end waits for, as said
  };

  supervisor_deps deps;
  cell_ptr cell;
  std::map<object_key, entry> entries;
  std::map<remote_identity, remote_entry> remotes;
  std::unordered_map<caf::actor_addr, object_key> running;
  std::unordered_map<caf::actor_addr, remote_identity> running_remotes;
  std::optional<std::map<std::string, durable_state>> restored; ///< by uid; taken by whoever spawns first
  std::map<std::string, object_key> orphans; ///< by uid: rows without an actor that are still to be removed
  std::optional<ec> orphans_problem;         ///< why they cannot be, as said last; nothing once one was
  std::map<std::string, release> releases; ///< by uid
  std::uint64_t release_count = 0;
  bool sweeping = false;                   ///< mirrors of the daemon's last life are being removed
  bool restoring = false;
  failure restore_problem; ///< why durable states cannot be read, as said last
  std::shared_ptr<const std::vector<repository_object>> waiting_list; ///< arrived before the durable states
  std::map<object_key, msg::repository_changed> waiting_changes;         ///< and the last change of each object since
  bool listed = false;
  bool conflicts_armed = false;
  bool shutting_down = false; ///< nothing is begun any more
  bool remotes_told = false;  ///< to end, after all who work on them
  std::vector<caf::typed_response_promise<msg::first_syncs>> waiting_first;
};

using supervisor_pointer = supervisor_actor::stateful_pointer<supervisor_state>;

/// The desired set of this node (`supervisor_actor`): one repository actor per Repository object, one remote actor per remote that any of them uses. Level-triggered: a whole
/// list is compared with what runs; an unexpected death is answered with a restart after a backoff. Told to exit with `user_shutdown` it ends after its children, which finish
/// what works on their mirrors; for any other reason all end at once.
supervisor_actor::behavior_type supervisor(supervisor_pointer self, supervisor_deps deps);

} // namespace veranda
