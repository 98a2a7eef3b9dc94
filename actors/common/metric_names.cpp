#include "actors/common/metric_names.hpp"

namespace veranda {

namespace {

constexpr auto rising = metric_type::counter;
constexpr auto level = metric_type::gauge;
constexpr auto spread = metric_type::histogram;

constexpr std::array short_buckets{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0};
constexpr std::array work_buckets{0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0};
constexpr std::array schedule_buckets{1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0};

const std::vector<label_values> no_labels{{}};

std::vector<label_values> one_label(std::initializer_list<std::string> values) { return all_combinations({values}); }

/// `result` and `error_class`, the catch-all last.
std::vector<label_values> outcomes(bool with_unchanged, bool with_cancelled = true) {
  std::vector<label_values> sets{{"success", "none"}};
  if (with_unchanged)
    sets.push_back({"unchanged", "none"});
  if (with_cancelled)
    sets.push_back({"cancelled", "stop"});
  for (const auto c : {error_class::retry, error_class::wait, error_class::needs_change, error_class::race, error_class::damaged, error_class::bug})
    sets.push_back({"failure", std::string{to_string(c)}});
  return sets;
}

/// Every cause with every outcome.
std::vector<label_values> causes_and_outcomes() {
  std::vector<label_values> sets;
  for (int cause = 0; cause <= static_cast<int>(sync_cause::catch_up); ++cause)
    for (auto& outcome : outcomes(true)) {
      outcome.insert(outcome.begin(), std::string{to_string(static_cast<sync_cause>(cause))});
      sets.push_back(std::move(outcome));
    }
  return sets;
}

} // namespace

std::array<std::string_view, 2> outcome_labels(const failure* why, bool unchanged) noexcept {
  if (why == nullptr)
    return {unchanged ? "unchanged" : "success", "none"};
  const auto c = class_of(why->code);
  return {c == error_class::stop ? "cancelled" : "failure", to_string(c)};
}

metric_set::metric_set()
    : build_info{registry, {"veranda_build_info", level, "Always 1; the label is the version that runs.", {"version"}}},
      start_time{registry, {"veranda_process_start_time_seconds", level, "When the process started, as Unix time."}},

      syncs{registry,
            {"veranda_sync_runs_total", rising, "Syncs that ended, by why they started and how they ended.", {"cause", "result", "error_class"}},
            causes_and_outcomes()},
      sync_duration{registry,
                    {"veranda_sync_duration_seconds", spread, "From the start of a sync to its end.", {"result"}},
                    one_label({"success", "unchanged", "cancelled", "failure"}),
                    work_buckets},
      sync_interval{registry,
                    {"veranda_sync_interval_seconds", spread, "Between two starts of syncs of one repository: how often repositories are synced."},
                    no_labels,
                    schedule_buckets},
      sync_lateness{registry,
                    {"veranda_sync_lateness_seconds", spread, "From the planned time of a sync to its start."},
                    no_labels,
                    schedule_buckets},
      condition_transitions{registry,
                            {"veranda_condition_transitions_total", rising, "Changes of the Ready condition, by the reason it changed to.", {"to"}},
                            one_label({"Ready", "Reconciling", "Error", "HostUnavailable", "other"})},

      leader{registry, {"veranda_leader", level, "1 while this process leads, or needs no leader; 0 while it stands by."}, no_labels},
      repositories{registry, {"veranda_repositories", level, "Repository objects that this node keeps in step."}, no_labels},
      repositories_ready{registry, {"veranda_repositories_by_condition", level, "Repositories by the status of their Ready condition.", {"ready"}}},
      repositories_by_age{registry,
                          {"veranda_repositories_by_success_age",
                           level,
                           "Repositories whose last successful sync ended at most so many seconds ago; +Inf counts all that ever succeeded.",
                           {"within_seconds"}}},
      packages{registry, {"veranda_cache_packages", level, "Packages in the cache."}},
      package_revisions{registry, {"veranda_cache_package_revisions", level, "Package revisions in the cache."}},
      bad_items{registry, {"veranda_discovery_bad_items", level, "Refs, packages and files that could not be taken over wholly, as of each repository's last sync."}},
      deletions_held{registry, {"veranda_deletions_held", level, "Package revisions that are gone from their remotes and kept, as too many would have gone at once."}},
      revision_changes{registry,
                       {"veranda_package_revision_changes_total", rising, "Package revisions that syncs added, changed and removed.", {"change"}},
                       one_label({"added", "changed", "removed"})},

      repository_ready{registry, {"veranda_repository_ready", level, "1 when the repository's Ready condition is True.", {"namespace", "name"}}},
      repository_last_success{registry,
                              {"veranda_repository_last_success_timestamp_seconds",
                               level,
                               "When the last successful sync ended, as Unix time; absent before the first.",
                               {"namespace", "name"}}},
      repository_lateness{registry,
                          {"veranda_repository_lateness_seconds", level, "How long after its planned time the last sync started.", {"namespace", "name"}}},
      repository_next_sync{registry,
                           {"veranda_repository_next_sync_timestamp_seconds",
                            level,
                            "When the next sync is planned, as Unix time; absent when none is.",
                            {"namespace", "name"}}},
      repository_series_left_out{registry, {"veranda_repository_series_left_out", level, "Repositories without series of their own because there are too many."}},

      watch_events{registry,
                   {"veranda_watch_events_total", rising, "Events of the watch for Repository objects.", {"type"}},
                   one_label({"added", "modified", "deleted", "bookmark", "error", "other"})},
      watch_reconnects{registry,
                       {"veranda_watch_reconnects_total", rising, "Times the watch for Repository objects had to begin anew, by what ended the one before.", {"reason"}},
                       one_label({"ended", "cut", "expired", "error"})},
      manifest_problems{registry, {"veranda_source_manifest_problems", level, "Problems in the manifest directory now."}, no_labels},

      listings{registry, {"veranda_remote_listings_total", rising, "Listings of a remote's refs.", {"result", "error_class"}}, outcomes(false)},
      listing_duration{registry, {"veranda_remote_listing_seconds", spread, "Duration of a listing."}, no_labels, work_buckets},
      listed_bytes{registry, {"veranda_remote_listed_bytes_total", rising, "Bytes received by listings."}, no_labels},
      fetches{registry, {"veranda_remote_fetches_total", rising, "Fetches from a remote into its mirror.", {"result", "error_class"}}, outcomes(false)},
      fetch_duration{registry, {"veranda_remote_fetch_seconds", spread, "Duration of a fetch."}, no_labels, work_buckets},
      fetched_bytes{registry, {"veranda_remote_fetched_bytes_total", rising, "Bytes received by fetches."}, no_labels},
      mirrors{registry, {"veranda_mirrors", level, "Mirrors on the disk."}, no_labels},
      mirror_bytes{registry, {"veranda_mirror_bytes", level, "Bytes that the mirrors take on the disk, as measured after the last job on each."}, no_labels},
      mirrors_removed{registry, {"veranda_mirrors_removed_total", rising, "Mirrors removed to stay within --mirror-max-bytes, to be fetched whole when they are needed."}},

      hosts{registry,
            {"veranda_hosts", level, "Hosts of remotes that are taken to be down (unavailable), or that asked to be left alone for a while (paused).", {"state"}},
            one_label({"unavailable", "paused"})},
      host_transitions{registry, {"veranda_host_transitions_total", rising, "Times a host was found to be down, and to answer again.", {"to"}}, one_label({"unavailable", "available"})},
      held_back{registry,
                {"veranda_remote_held_back_total", rising, "Listings and fetches that were not tried because of the state of their host.", {"reason"}},
                one_label({"unavailable", "paused"})},

      queue_length{registry, {"veranda_queue_length", level, "Jobs that wait for a worker."}, no_labels},
      queue_wait{registry, {"veranda_queue_wait_seconds", spread, "How long jobs waited for a worker."}, no_labels, work_buckets},
      workers_busy{registry, {"veranda_workers_busy", level, "Workers that run a job."}, no_labels},

      cache_transactions{registry, {"veranda_cache_transactions_total", rising, "Transactions of the package cache.", {"result"}}, one_label({"success", "failure"})},
      cache_transaction_duration{registry, {"veranda_cache_transaction_seconds", spread, "Duration of a cache transaction."}, no_labels, short_buckets},
      contents_stored_bytes{registry, {"veranda_cache_contents_stored_bytes_total", rising, "Bytes of package contents given to the store."}, no_labels},
      contents_stored_rows{registry, {"veranda_cache_contents_stored_rows_total", rising, "Files and trees of packages given to the store."}, no_labels},
      feed_position{registry, {"veranda_cache_feed_position", level, "Last revision of the change feed."}, no_labels},
      status_writes{registry, {"veranda_status_writes_total", rising, "Writes of Repository status.", {"result"}}, one_label({"success", "failure"})},

      package_revs{registry,
                   {"veranda_package_revs", level, "PackageRev objects: wanted by the cache, present in the API server, pending a write, and failing of those.", {"state"}},
                   one_label({"desired", "present", "pending", "failing"})},
      package_revs_lag{registry, {"veranda_package_revs_lag_seconds", level, "For how long some PackageRev object has waited for a write; 0 when none does."}, no_labels},
      package_rev_writes{registry,
                         {"veranda_package_rev_requests_total", rising, "Requests about single PackageRev objects.", {"operation", "result"}},
                         all_combinations({{"create", "patch", "release", "remove", "read"}, {"success", "failure"}})},

      actors{registry, {"veranda_actors", level, "Actors alive.", {"kind"}}},
      actors_stuck{registry, {"veranda_actors_stuck", level, "Actors whose current handler runs longer than it should.", {"kind"}}},
      actor_messages{registry, {"veranda_actor_messages_total", rising, "Messages handled.", {"kind", "type"}}},
      actor_handler_seconds{registry, {"veranda_actor_handler_seconds_total", rising, "Time spent in handlers.", {"kind"}}},
      actor_mailbox_max{registry, {"veranda_actor_mailbox_depth_max", level, "Deepest mailbox that an actor alive has seen.", {"kind"}}},
      actor_restarts{registry, {"veranda_actor_restarts_total", rising, "Actors started again after an unexpected end.", {"kind"}}} {}

} // namespace veranda
