#pragma once

#include "messages/model/sync.hpp"

#include <chrono>
#include <memory>
#include <string_view>

namespace veranda {

/// What actors count, in the words of what happened; the implementation turns it into metric families (metric_names.hpp). Thread safe, never blocks
/// for long, never throws.
class telemetry {
public:
  using duration = std::chrono::nanoseconds;
  virtual ~telemetry() = default;

  virtual void sync_started(const object_key& key, sync_cause cause) = 0;
  /// `why` null: it ended well.
  virtual void sync_finished(const object_key& key, sync_cause cause, const failure* why, bool unchanged, duration took, wall_time now) = 0;
  virtual void lateness(const object_key& key, duration late) = 0;
  virtual void delta_applied(const package_delta& delta) = 0;
  virtual void repository_counts(const object_key& key, const durable_state& state) = 0;
  virtual void repository_ready(const object_key& key, bool ready) = 0;
  virtual void repository_next_sync(const object_key& key, std::optional<wall_time> at) = 0;
  virtual void repository_gone(const object_key& key) = 0;
  virtual void repositories(std::size_t count) = 0;
  virtual void condition_transition(const std::string& reason) = 0;

  virtual void watch_event(const char* type) = 0;
  /// `reason`: a `logic::watch_loss`.
  virtual void watch_restarted(std::string_view reason) = 0;
  virtual void manifest_problems(std::size_t count) = 0;

  virtual void listing_ended(const failure* why, duration took, std::uint64_t received_bytes) = 0;
  virtual void fetched(const failure* why, duration took, std::uint64_t received_bytes) = 0;
  /// Hosts that are taken to be down, and those that want to be left alone.
  virtual void hosts(std::size_t unavailable, std::size_t paused) = 0;
  virtual void host_changed(bool answers) = 0;
  /// A listing or fetch that was not made: `unavailable` or `paused`.
  virtual void held_back(const char* reason) = 0;
  virtual void queue(std::size_t waiting, std::size_t busy) = 0;
  virtual void queue_wait(duration waited) = 0;

  virtual void cache_transaction(bool ok, duration took) = 0;
  virtual void contents_stored(std::size_t rows, std::size_t bytes) = 0;
  virtual void feed_position(std::int64_t position) = 0;
  virtual void status_written(bool ok) = 0;
  virtual void actor_restarted(const char* kind) = 0;
};

} // namespace veranda
