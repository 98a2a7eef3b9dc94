#pragma once

#include "actors/common/env.hpp"
#include "actors/logic/repository_machine.hpp"
#include "messages/actor_handles.hpp"
#include "messages/package_revs.hpp"

namespace veranda {

struct repository_deps {
  runtime_env env;
  logic::machine_settings machine;
  cache_writer_actor cache;
  status_writer_actor status;
  supervisor_actor supervisor;
  finalizer_keeper_actor finalizers; ///< null: objects are not held
  package_rev_keeper_actor package_revs; ///< hears of the first sync that succeeded; null: there are no PackageRev objects
  std::int64_t epoch = 1;
  bool allow_create_branch = false; ///< `spec.git.createBranch` has an effect
  std::chrono::milliseconds store_timeout{120'000};
  std::chrono::milliseconds claim_retry{2'000}; ///< and twice as long after each failure, up to
  std::chrono::milliseconds claim_retry_max{30'000};
  std::chrono::milliseconds hold_again{1'000}; ///< between two times that the finalizer is set again, and twice as long after each, up to
  std::chrono::milliseconds hold_again_max{300'000};
  std::chrono::milliseconds hold_calm{600'000}; ///< as long untouched after that forgets those before
  std::chrono::milliseconds persist_retry{15'000};
};

struct repository_state {
  static constexpr const char* name = "repository";
  ~repository_state(); ///< stops what runs, whatever ended the actor

  /// A sync that is under way.
  struct running_sync {
    logic::sync_order order;
    std::shared_ptr<const repository_spec> spec; ///< as of the start
    cancel_token_ptr cancel;
    std::chrono::steady_clock::time_point began{};
    wall_time started{};
    sync_basis basis;
    std::string listing_digest;
    sync_phases phases; ///< as far as it has come
    std::chrono::steady_clock::time_point phase_began{};
    bool listed = false;        ///< the refs are known, and are worked on
    bool applying = false;      ///< its transaction is under way: the one thing that is not given up
    bool persist_later = false; ///< durable state changed meanwhile
  };
  struct waiting_caller {
    bool served_by_next = false; ///< asked while another sync ran: the one after it counts
    caf::typed_response_promise<msg::sync_done> promise;
  };

  repository_deps deps;
  object_key key;
  std::string uid;
  cell_ptr cell;
  std::optional<logic::repository_machine> machine;
  apply_object applied; ///< what the supervisor said last
  std::optional<store::repository_claim> claim;
  std::optional<repository_spec> opened; ///< as stored in the cache
  bool said_in_step = false; ///< a sync has succeeded in the life of this actor
  bool basis_holds = false; ///< the machine's basis is the one that the cache holds
  bool claiming = false;
  bool holding = false;    ///< the finalizer is being set
  bool held = false;       ///< it was set
  bool hold_waits = false; ///< a timer is armed to set it again
  std::optional<failure> unheld; ///< why it cannot be set: what Ready says as long as this stands
  wall_time unheld_since{};
  unsigned set_again = 0;  ///< in a row: somebody keeps taking it away
  std::chrono::steady_clock::time_point hold_after{}; ///< not set again before
  bool closing = false;
  bool ending = false; ///< the daemon ends: what runs may finish, nothing begins
  bool first_reported = false;
  bool first_good = false;
  std::optional<running_sync> running;
  std::vector<waiting_caller> callers;
  std::string known_digest; ///< of the last listing that agreed with the basis
  std::optional<repository_spec> known_spec; ///< the spec it agreed for
  std::string last_reason; ///< of the Ready condition as published
  std::uint64_t wake_epoch = 0;
  std::uint64_t claim_epoch = 0;
  unsigned claim_failures = 0; ///< in a row; the first is said
  std::uint64_t persist_epoch = 0; ///< of the last durable state that was sent
  bool persist_failing = false;    ///< said once, until one is written
};

/// One Repository (`repository_actor`). Decisions are the machine's; this actor gives it events and time, and carries out its effects: at most one sync in flight
/// (listing, then a job on the remote's mirror, then one cache transaction), status to the status writer, durable rows to the cache writer. Starts with a claim of its rows; a stale
/// fence ends it with `ec::stale`, and the supervisor starts another. Told to exit with `user_shutdown` it ends when the sync that works on its mirror has, at once
/// without one; for any other reason at once.
repository_actor::behavior_type repository(repository_actor::stateful_pointer<repository_state> self, repository_deps deps, apply_object first,
                                           std::optional<durable_state> restored);

} // namespace veranda
