#pragma once

#include "actors/common/metrics.hpp"
#include "messages/model/sync.hpp"

#include <array>

namespace veranda {

/// Label values `result` and `error_class` of how something ended: `success`/`none`, `unchanged`/`none`, `cancelled`/`stop`, or `failure` and the class of
/// its code (`retry`, `wait`, ...).
[[nodiscard]] std::array<std::string_view, 2> outcome_labels(const failure* why, bool unchanged = false) noexcept;

/// Every metric family of the daemon: names, types, help, labels, buckets. Nothing else declares one. Names are an interface: dashboards and alerts use them,
/// so tests hold them against a golden file.
struct metric_set {
  metric_set();

  metric_registry registry;

  // Process
  collected_family build_info;
  collected_family start_time;

  // Syncs
  counters syncs;
  histograms sync_duration;
  histograms sync_interval;
  histograms sync_lateness;
  counters condition_transitions;

  // Repositories and what they hold
  gauges leader;
  gauges repositories;
  collected_family repositories_ready;
  collected_family repositories_by_age;
  collected_family packages;
  collected_family package_revisions;
  collected_family bad_items;
  collected_family deletions_held;
  counters revision_changes;

  // One series per repository, up to a limit
  collected_family repository_ready;
  collected_family repository_last_success;
  collected_family repository_lateness;
  collected_family repository_next_sync;
  collected_family repository_series_left_out;

  // Where Repository objects come from
  counters watch_events;
  counters watch_reconnects;
  gauges manifest_problems;

  // Remotes
  counters listings;
  histograms listing_duration;
  counters listed_bytes;
  counters fetches;
  histograms fetch_duration;
  counters fetched_bytes;
  gauges mirrors;
  gauges mirror_bytes;
  collected_family mirrors_removed;

  // Hosts of remotes
  gauges hosts;
  counters host_transitions;
  counters held_back;

  // Queue and workers
  gauges queue_length;
  histograms queue_wait;
  gauges workers_busy;

  // Cache and status
  counters cache_transactions;
  histograms cache_transaction_duration;
  counters contents_stored_bytes;
  counters contents_stored_rows;
  gauges feed_position;
  counters status_writes;

  // PackageRev objects, with --cache=cr
  gauges package_revs;
  gauges package_revs_lag;
  counters package_rev_writes;

  // Actors, summed over the cells of a kind
  collected_family actors;
  collected_family actors_stuck;
  collected_family actor_messages;
  collected_family actor_handler_seconds;
  collected_family actor_mailbox_max;
  collected_family actor_restarts;
};

} // namespace veranda
