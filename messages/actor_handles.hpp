#pragma once

#include "messages/local.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace veranda {

/// The only writer of the embedded object store. Own thread.
/// `write_object` answers the object as stored, or the store's failure.
using object_store_actor = caf::typed_actor<caf::replies_to<msg::write_object>::with<msg::stored_object_ptr>>;

/// Sets and takes away our finalizer on objects of an API server. Own thread. Answers whether something was written. Holding fails with `not_found` when the object is
/// gone, made anew or being deleted; releasing what is gone is done. What is asked of one object is done in that order.
using finalizer_keeper_actor = caf::typed_actor<caf::replies_to<msg::hold_object>::with<bool>, caf::replies_to<msg::release_object>::with<bool>>;

/// Every status write: the newest per repository, a bounded number under way, retried. A failed write never blocks a sync.
using status_writer_actor = caf::typed_actor<caf::reacts_to<msg::publish_status>,    // from repositories; replaces what waits
                                             caf::reacts_to<msg::forget_status>,     // from the supervisor
                                             caf::replies_to<msg::flush_status>::with<bool>, // at shutdown and by --once
                                             caf::reacts_to<msg::status_retry_due>>; // INTERNAL timer

/// Serialises every mutation of the package cache. Own thread. Fails with `stale` for an older fence, `unavailable` while the store cannot write.
using cache_writer_actor = caf::typed_actor<
  caf::replies_to<msg::claim_repository>::with<store::repository_claim>, // draws a fence, opens
  caf::replies_to<msg::open_repository>::with<bool>,                     // spec changed; idempotent
  caf::replies_to<msg::apply_delta>::with<store::apply_result>,          // one transaction; repeating it changes nothing
  caf::replies_to<msg::put_state>::with<bool>,
  caf::replies_to<msg::close_rows>::with<bool>, // idempotent
  caf::replies_to<msg::get_states>::with<msg::states_ptr>,
  caf::reacts_to<msg::check_cache>,    // from repositories whose sync met damage
  caf::reacts_to<msg::store_contents>, // from workers; acknowledged through its gate
  caf::reacts_to<msg::sweep_due>>;     // INTERNAL timer

/// Runs one blocking job. Own thread.
using worker_actor = caf::typed_actor<caf::replies_to<msg::job>::with<msg::job_result>>;

/// The bounded queue in front of the workers. `overloaded` when it is full.
using worker_pool_actor = caf::typed_actor<caf::replies_to<msg::job>::with<msg::job_result>, caf::reacts_to<msg::drop_stopped_jobs>,
                                           caf::replies_to<msg::find_job>::with<std::string>, caf::reacts_to<msg::limits_changed>>;

/// What is known of each host, for all remotes there: whether it is up, and whether it wants to be left alone. Asked before a listing or a fetch, told what came of it.
using host_keeper_actor = caf::typed_actor<caf::replies_to<msg::enter_host>::with<msg::host_pass>, caf::reacts_to<msg::host_answered>,
                                           caf::reacts_to<msg::host_due>>; // INTERNAL timer

/// Ref listings over http(s). Own thread, one libcurl multi.
using http_actor = caf::typed_actor<caf::replies_to<msg::list_http>::with<msg::listing_ptr>, caf::replies_to<msg::find_job>::with<std::string>,
                                    caf::reacts_to<msg::limits_changed>,
                                    caf::reacts_to<msg::continue_transfers>>; // INTERNAL

/// One remote: single-flight listing, one job on its mirror at a time.
using remote_actor = caf::typed_actor<caf::reacts_to<msg::join_remote>, caf::reacts_to<msg::leave_remote>,
                                      caf::replies_to<msg::get_listing>::with<msg::listing_ptr>,
                                      caf::replies_to<msg::get_place>::with<std::string>,
                                      caf::replies_to<msg::run_sync>::with<msg::sync_result_ptr>>;

/// An object and the remote that its spec names (null when the spec is not good enough to have one).
struct apply_object {
  repository_object_ptr object;
  remote_actor remote;
  std::string remote_name;
  std::optional<failure> remote_problem; ///< why there is no remote; nothing when there is one
};

/// One Repository: its sync state and timers. At most one sync in flight.
using repository_actor = caf::typed_actor<
  caf::reacts_to<apply_object>,                             // OpenRepository: from the supervisor at every change
  caf::reacts_to<msg::conflicts_changed>,                   // from the supervisor
  caf::replies_to<msg::sync_now>::with<msg::sync_done>,     // SyncOnce: runs a sync that begins after the request, answers when it ends
  caf::replies_to<msg::get_key>::with<object_key>,          // Key
  caf::replies_to<msg::get_spec>::with<repository_object_ptr>, // GetSpec
  caf::replies_to<msg::get_state>::with<msg::repository_state_view>, // deep dump
  caf::reacts_to<msg::settings_changed>,                    // from the supervisor
  caf::reacts_to<msg::close_repository>,                    // CloseRepository
  caf::reacts_to<msg::wake_due>, caf::reacts_to<msg::persist_due>, caf::reacts_to<msg::claim_due>>; // INTERNAL timers

/// The desired set of this node and the repositories that serve it.
using supervisor_actor = caf::typed_actor<
  caf::reacts_to<msg::repositories_listed>, caf::reacts_to<msg::repository_changed>, caf::reacts_to<msg::secret_changed>,
  caf::reacts_to<msg::first_sync_finished>, caf::reacts_to<msg::settings_changed>,
  caf::replies_to<msg::await_first_syncs>::with<msg::first_syncs>,
  caf::replies_to<object_key, msg::get_state>::with<msg::repository_state_view>, // forwarded to the repository
  caf::reacts_to<msg::restart_due>, caf::reacts_to<msg::remote_due>, caf::reacts_to<msg::consistency_due>, caf::reacts_to<msg::conflicts_due>,
  caf::reacts_to<msg::orphan_due>, caf::reacts_to<msg::release_due>, caf::reacts_to<msg::restore_due>>; // INTERNAL timers

/// The supervisor that hears of Secrets that have changed.
struct follow_secrets {
  supervisor_actor whom;
};

/// Brings Secrets of an API server to where they are resolved from. Own thread. `fetch_secrets` answers when what is known is young, or when that cannot be had now.
using secret_keeper_actor = caf::typed_actor<caf::replies_to<msg::fetch_secrets>::with<bool>, // from remotes, before they use them
                                             caf::reacts_to<msg::secrets_tried>,              // and after
                                             caf::reacts_to<msg::secrets_unused>,             // and at their end
                                             caf::reacts_to<follow_secrets>>;

/// Follows a `repository_source`. Own thread.
using watcher_actor = caf::typed_actor<caf::reacts_to<msg::continue_reading>>;
/// Follows the manifest directory into the object store. Own thread.
using manifest_follower_actor = caf::typed_actor<caf::reacts_to<msg::continue_reading>, caf::reacts_to<msg::settings_changed>>;

} // namespace veranda

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(veranda::apply_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(veranda::follow_secrets)
