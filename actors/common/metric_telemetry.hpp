#pragma once

#include "actors/common/cells.hpp"
#include "actors/common/metric_names.hpp"
#include "actors/common/package_rev_telemetry.hpp"
#include "actors/common/sync_load.hpp"
#include "actors/common/telemetry.hpp"

#include <atomic>
#include <map>
#include <mutex>

namespace veranda {

/// What one repository costs, and how it is doing.
struct repository_load {
  object_key key;
  std::optional<bool> ready;
  sync_cost recent; ///< of the last `recent_costs::window`
  std::optional<std::chrono::nanoseconds> last; ///< duration of the last sync
  std::optional<std::chrono::nanoseconds> late; ///< by how much its start was
  std::uint64_t packages = 0;
  std::uint64_t revisions = 0;
};

/// Turns what actors report into metric families, and writes them for Prometheus. Counters and histograms are atomics; one short mutex guards
/// what is known of each repository.
class metric_telemetry final : public telemetry, public package_rev_telemetry {
public:
  struct options {
    std::string version;
    wall_time started{};
    std::uint32_t max_repositories = 1000; ///< repositories with series of their own
  };
  metric_telemetry(options opts, std::shared_ptr<cell_registry> cells);

  /// Prometheus text format. Any thread; sends no message, so it answers when an actor is stuck. `now` is for ages.
  [[nodiscard]] std::string render(wall_time now);
  /// Every repository, by key. Any thread; sends no message.
  [[nodiscard]] std::vector<repository_load> loads() const;
  /// Jobs that wait for a worker, and workers that run one. Any thread.
  [[nodiscard]] std::pair<std::size_t, std::size_t> jobs() const noexcept { return {waiting_.load(), busy_.load()}; }
  [[nodiscard]] wall_time started() const noexcept { return options_.started; }
  /// All families, for documentation and tests.
  [[nodiscard]] const std::vector<const metric_family*>& families() const noexcept { return metrics_.registry.families(); }

  void sync_started(const object_key& key, sync_cause cause) override;
  void sync_finished(const object_key& key, sync_cause cause, const failure* why, bool unchanged, duration took, wall_time now) override;
  void lateness(const object_key& key, duration late) override;
  void delta_applied(const package_delta& delta) override;
  void repository_counts(const object_key& key, const durable_state& state) override;
  void repository_ready(const object_key& key, bool ready) override;
  void repository_next_sync(const object_key& key, std::optional<wall_time> at) override;
  void repository_gone(const object_key& key) override;
  void repositories(std::size_t count) override;
  /// Whether this process works, or stands by.
  void leading(bool leads);
  /// What the mirrors take on the disk, and how many were removed to stay within the limit since the start.
  void mirrors(std::size_t count, std::uint64_t bytes, std::uint64_t removed);
  void condition_transition(const std::string& reason) override;
  void watch_event(const char* type) override;
  void watch_restarted(std::string_view reason) override;
  void manifest_problems(std::size_t count) override;
  void listing_ended(const failure* why, duration took, std::uint64_t received_bytes) override;
  void fetched(const failure* why, duration took, std::uint64_t received_bytes) override;
  void hosts(std::size_t unavailable, std::size_t paused) override;
  void host_changed(bool answers) override;
  void held_back(const char* reason) override;
  void queue(std::size_t waiting, std::size_t busy) override;
  void queue_wait(duration waited) override;
  void cache_transaction(bool ok, duration took) override;
  void contents_stored(std::size_t rows, std::size_t bytes) override;
  void feed_position(std::int64_t position) override;
  void status_written(bool ok) override;
  void package_revs(const package_rev_counts& counts) override;
  void package_rev_requested(const char* operation, const failure* why) override;
  void actor_restarted(const char* kind) override;

private:
  struct repository_facts {
    std::optional<bool> ready;
    std::optional<steady_time> last_start;
    std::optional<wall_time> last_success;
    std::optional<wall_time> next_sync;
    std::optional<duration> late;
    std::uint64_t packages = 0;
    std::uint64_t revisions = 0;
    std::uint64_t bad = 0;
    std::uint64_t held = 0;
    recent_costs recent;
    std::optional<duration> last;
    std::optional<std::string> last_run; ///< whose bytes were counted
  };
  void collect_process();
  void collect_repositories(wall_time now);
  void collect_series(const object_key& key, const repository_facts& facts);
  void collect_actors();

  const options options_;
  const std::shared_ptr<cell_registry> cells_;
  metric_set metrics_;
  std::atomic<std::size_t> waiting_{0}, busy_{0};
  std::atomic<std::uint64_t> mirrors_removed_{0}; ///< as told
  std::mutex scrape_; ///< one writer of the collected families at a time
  mutable std::mutex mutex_;  ///< guards `repositories_`
  std::map<object_key, repository_facts> repositories_;
};

} // namespace veranda
