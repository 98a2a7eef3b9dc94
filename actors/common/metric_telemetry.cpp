#include "actors/common/metric_telemetry.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace veranda {

namespace {

using lock = std::scoped_lock<std::mutex>;

constexpr double forever = std::numeric_limits<double>::infinity();
/// Ages of the last success that are told apart: one to ten minutes, an hour, six hours, a day, a week.
constexpr std::array age_bounds{60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0, 604800.0, forever};

double seconds_of(std::chrono::nanoseconds d) { return std::chrono::duration<double>(d).count(); }
double unix_time(wall_time t) { return std::chrono::duration<double>(t.time_since_epoch()).count(); }

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view result_label(bool ok) { return ok ? "success" : "failure"; }

} // namespace

metric_telemetry::metric_telemetry(options opts, std::shared_ptr<cell_registry> cells) : options_(std::move(opts)), cells_(std::move(cells)) { leading(true); }

void metric_telemetry::sync_started(const object_key& key, sync_cause) {
  const auto now = std::chrono::steady_clock::now();
  std::optional<steady_time> before;
  {
    const lock l{mutex_};
    before = std::exchange(repositories_[key].last_start, now);
  }
  if (before)
    metrics_.sync_interval.get().observe(seconds_of(now - *before));
}

void metric_telemetry::sync_finished(const object_key& key, sync_cause cause, const failure* why, bool unchanged, duration took, wall_time now) {
  const auto [result, cls] = outcome_labels(why, unchanged);
  metrics_.syncs.at({to_string(cause), result, cls}).add();
  metrics_.sync_duration.at({result}).observe(seconds_of(took));
  const bool idle_check = cause == sync_cause::health && unchanged && why == nullptr;
  const bool stopped = why != nullptr && class_of(why->code) == error_class::stop;
  const lock l{mutex_};
  auto& facts = repositories_[key];
  sync_cost cost;
  cost.syncs = idle_check || stopped ? 0 : 1;
  cost.failures = why != nullptr && !stopped ? 1 : 0;
  cost.busy = std::chrono::duration_cast<std::chrono::milliseconds>(took);
  facts.recent.add(std::chrono::steady_clock::now(), cost);
  if (cost.syncs > 0)
    facts.last = took;
  if (why == nullptr)
    facts.last_success = now;
}

void metric_telemetry::lateness(const object_key& key, duration late) {
  const auto counted = std::max(late, duration{0});
  metrics_.sync_lateness.get().observe(seconds_of(counted));
  const lock l{mutex_};
  repositories_[key].late = counted;
}

void metric_telemetry::delta_applied(const package_delta& delta) {
  metrics_.revision_changes.at({"added"}).add(delta.added.size());
  metrics_.revision_changes.at({"changed"}).add(delta.changed.size());
  metrics_.revision_changes.at({"removed"}).add(delta.removed.size());
}

void metric_telemetry::repository_counts(const object_key& key, const durable_state& state) {
  const lock l{mutex_};
  auto& facts = repositories_[key];
  facts.packages = state.packages;
  facts.revisions = state.revisions;
  facts.bad = state.bad_count;
  facts.held = state.hold ? state.hold->count : 0;
  const auto newest = state.runs.empty() ? std::string{} : state.runs.back().sync_id;
  if (std::exchange(facts.last_run, newest).value_or(newest) != newest) { // what was restored belongs to another process
    sync_cost cost;
    cost.fetched_bytes = state.runs.back().stats.fetched_bytes;
    facts.recent.add(std::chrono::steady_clock::now(), cost);
  }
  if (state.last_success)
    facts.last_success = state.last_success;
}

void metric_telemetry::repository_ready(const object_key& key, bool ready) {
  const lock l{mutex_};
  repositories_[key].ready = ready;
}

void metric_telemetry::repository_next_sync(const object_key& key, std::optional<wall_time> at) {
  const lock l{mutex_};
  repositories_[key].next_sync = at;
}

void metric_telemetry::repository_gone(const object_key& key) {
  const lock l{mutex_};
  repositories_.erase(key);
}

void metric_telemetry::repositories(std::size_t count) { metrics_.repositories.get().set(static_cast<double>(count)); }

void metric_telemetry::leading(bool leads) { metrics_.leader.get().set(leads ? 1 : 0); }

void metric_telemetry::condition_transition(const std::string& reason) { metrics_.condition_transitions.at({reason}).add(); }

void metric_telemetry::watch_event(const char* type) { metrics_.watch_events.at({lower(type)}).add(); }

void metric_telemetry::watch_restarted(std::string_view reason) { metrics_.watch_reconnects.at({reason}).add(); }

void metric_telemetry::manifest_problems(std::size_t count) { metrics_.manifest_problems.get().set(static_cast<double>(count)); }

void metric_telemetry::listing_ended(const failure* why, duration took, std::uint64_t received_bytes) {
  const auto [result, cls] = outcome_labels(why);
  metrics_.listings.at({result, cls}).add();
  metrics_.listing_duration.get().observe(seconds_of(took));
  metrics_.listed_bytes.get().add(received_bytes);
}

void metric_telemetry::fetched(const failure* why, duration took, std::uint64_t received_bytes) {
  const auto [result, cls] = outcome_labels(why);
  metrics_.fetches.at({result, cls}).add();
  metrics_.fetch_duration.get().observe(seconds_of(took));
  metrics_.fetched_bytes.get().add(received_bytes);
}

void metric_telemetry::hosts(std::size_t unavailable, std::size_t paused) {
  metrics_.hosts.at({"unavailable"}).set(static_cast<double>(unavailable));
  metrics_.hosts.at({"paused"}).set(static_cast<double>(paused));
}

void metric_telemetry::host_changed(bool answers) { metrics_.host_transitions.at({answers ? "available" : "unavailable"}).add(); }

void metric_telemetry::held_back(const char* reason) { metrics_.held_back.at({reason}).add(); }

void metric_telemetry::mirrors(std::size_t count, std::uint64_t bytes, std::uint64_t removed) {
  metrics_.mirrors.get().set(static_cast<double>(count));
  metrics_.mirror_bytes.get().set(static_cast<double>(bytes));
  mirrors_removed_ = removed;
}

void metric_telemetry::queue(std::size_t waiting, std::size_t busy) {
  metrics_.queue_length.get().set(static_cast<double>(waiting));
  metrics_.workers_busy.get().set(static_cast<double>(busy));
  waiting_ = waiting;
  busy_ = busy;
}

void metric_telemetry::queue_wait(duration waited) { metrics_.queue_wait.get().observe(seconds_of(waited)); }

void metric_telemetry::cache_transaction(bool ok, duration took) {
  metrics_.cache_transactions.at({result_label(ok)}).add();
  metrics_.cache_transaction_duration.get().observe(seconds_of(took));
}

void metric_telemetry::contents_stored(std::size_t rows, std::size_t bytes) {
  metrics_.contents_stored_rows.get().add(rows);
  metrics_.contents_stored_bytes.get().add(bytes);
}

void metric_telemetry::feed_position(std::int64_t position) { metrics_.feed_position.get().set(static_cast<double>(position)); }

void metric_telemetry::status_written(bool ok) { metrics_.status_writes.at({result_label(ok)}).add(); }

void metric_telemetry::package_revs(const package_rev_counts& counts) {
  metrics_.package_revs.at({"desired"}).set(static_cast<double>(counts.desired));
  metrics_.package_revs.at({"present"}).set(static_cast<double>(counts.present));
  metrics_.package_revs.at({"pending"}).set(static_cast<double>(counts.pending));
  metrics_.package_revs.at({"failing"}).set(static_cast<double>(counts.failing));
  metrics_.package_revs_lag.get().set(std::chrono::duration<double>(counts.lag).count());
}

void metric_telemetry::package_rev_requested(const char* operation, const failure* why) { metrics_.package_rev_writes.at({operation, result_label(why == nullptr)}).add(); }

void metric_telemetry::actor_restarted(const char* kind) { cells_->count_restart(kind); }

std::string metric_telemetry::render(wall_time now) {
  const lock l{scrape_};
  collect_process();
  collect_repositories(now);
  collect_actors();
  exposition out;
  metrics_.registry.write(out);
  return std::move(out).take();
}

std::vector<repository_load> metric_telemetry::loads() const {
  const auto now = std::chrono::steady_clock::now();
  const lock l{mutex_};
  std::vector<repository_load> all;
  all.reserve(repositories_.size());
  for (const auto& [key, facts] : repositories_)
    all.push_back({key, facts.ready, facts.recent.sum(now), facts.last, facts.late, facts.packages, facts.revisions});
  return all;
}

void metric_telemetry::collect_process() {
  metrics_.build_info.clear();
  metrics_.build_info.add({options_.version}, 1);
  metrics_.start_time.clear();
  metrics_.start_time.add({}, unix_time(options_.started));
  metrics_.mirrors_removed.clear();
  metrics_.mirrors_removed.add({}, static_cast<double>(mirrors_removed_.load()));
}

void metric_telemetry::collect_series(const object_key& key, const repository_facts& facts) {
  const label_values labels{key.ns, key.name};
  metrics_.repository_ready.add(labels, facts.ready.value_or(false) ? 1 : 0);
  if (facts.last_success)
    metrics_.repository_last_success.add(labels, unix_time(*facts.last_success));
  if (facts.late)
    metrics_.repository_lateness.add(labels, seconds_of(*facts.late));
  if (facts.next_sync)
    metrics_.repository_next_sync.add(labels, unix_time(*facts.next_sync));
}

void metric_telemetry::collect_repositories(wall_time now) {
  auto& m = metrics_;
  for (auto* family : {&m.repositories_ready, &m.repositories_by_age, &m.packages, &m.package_revisions, &m.bad_items, &m.deletions_held, &m.repository_ready,
                       &m.repository_last_success, &m.repository_lateness, &m.repository_next_sync, &m.repository_series_left_out})
    family->clear();
  std::uint64_t packages = 0, revisions = 0, bad = 0, held = 0, ready = 0, not_ready = 0, unknown = 0;
  std::array<std::uint64_t, age_bounds.size()> by_age{};
  std::uint32_t series = 0;

  const lock l{mutex_};
  for (const auto& [key, facts] : repositories_) {
    packages += facts.packages;
    revisions += facts.revisions;
    bad += facts.bad;
    held += facts.held;
    ++(!facts.ready ? unknown : *facts.ready ? ready : not_ready);
    if (facts.last_success)
      for (std::size_t i = 0; i < age_bounds.size(); ++i)
        by_age[i] += seconds_of(now - *facts.last_success) <= age_bounds[i] ? 1 : 0;
    if (series < options_.max_repositories) {
      collect_series(key, facts);
      ++series;
    }
  }
  m.repositories_ready.add({"true"}, static_cast<double>(ready));
  m.repositories_ready.add({"false"}, static_cast<double>(not_ready));
  m.repositories_ready.add({"unknown"}, static_cast<double>(unknown));
  for (std::size_t i = 0; i < age_bounds.size(); ++i)
    m.repositories_by_age.add({std::isinf(age_bounds[i]) ? "+Inf" : std::to_string(static_cast<std::uint64_t>(age_bounds[i]))}, static_cast<double>(by_age[i]));
  m.packages.add({}, static_cast<double>(packages));
  m.package_revisions.add({}, static_cast<double>(revisions));
  m.bad_items.add({}, static_cast<double>(bad));
  m.deletions_held.add({}, static_cast<double>(held));
  m.repository_series_left_out.add({}, static_cast<double>(repositories_.size() - series));
}

void metric_telemetry::collect_actors() {
  auto& m = metrics_;
  for (auto* family : {&m.actors, &m.actors_stuck, &m.actor_messages, &m.actor_handler_seconds, &m.actor_mailbox_max, &m.actor_restarts})
    family->clear();
  for (const auto& kind : cells_->totals()) {
    m.actors.add({kind.kind}, static_cast<double>(kind.actors));
    m.actors_stuck.add({kind.kind}, static_cast<double>(kind.stuck));
    m.actor_handler_seconds.add({kind.kind}, seconds_of(kind.handler_total));
    m.actor_mailbox_max.add({kind.kind}, static_cast<double>(kind.mailbox_max));
    m.actor_restarts.add({kind.kind}, static_cast<double>(kind.restarts));
    for (const auto& [type, count] : kind.messages)
      m.actor_messages.add({kind.kind, type}, static_cast<double>(count));
  }
}

} // namespace veranda
