#pragma once

#include "actors/common/telemetry.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace veranda::test {

/// Keeps what tests look at and forgets the rest.
class fake_telemetry final : public telemetry {
public:
  std::vector<std::string> started; ///< causes of syncs, in order
  unsigned finished = 0;
  unsigned unchanged = 0;
  std::vector<object_key> gone;
  std::vector<std::string> transitions; ///< reasons of Ready
  std::vector<std::string> watched;
  std::vector<std::string> watch_restarts; ///< reasons
  unsigned listings = 0;
  unsigned status_failures = 0;
  unsigned restarts = 0;
  std::size_t problems = 0;
  std::size_t hosts_down = 0, hosts_paused = 0;
  unsigned kept_back = 0; ///< from hosts

  void sync_started(const object_key&, sync_cause cause) override { started.emplace_back(to_string(cause)); }
  void sync_finished(const object_key&, sync_cause, const failure*, bool nothing_new, duration, wall_time) override {
    ++finished;
    unchanged += nothing_new ? 1 : 0;
  }
  void lateness(const object_key&, duration) override {}
  void delta_applied(const package_delta&) override {}
  void repository_counts(const object_key&, const durable_state&) override {}
  void repository_ready(const object_key&, bool) override {}
  void repository_next_sync(const object_key&, std::optional<wall_time>) override {}
  void repository_gone(const object_key& key) override { gone.push_back(key); }
  void repositories(std::size_t) override {}
  void condition_transition(const std::string& reason) override { transitions.push_back(reason); }
  void watch_event(const char* type) override { watched.emplace_back(type); }
  void watch_restarted(std::string_view reason) override { watch_restarts.emplace_back(reason); }
  void manifest_problems(std::size_t count) override { problems = count; }
  void listing_ended(const failure*, duration, std::uint64_t) override { ++listings; }
  void fetched(const failure*, duration, std::uint64_t) override {}
  void hosts(std::size_t down, std::size_t left_alone) override {
    hosts_down = down;
    hosts_paused = left_alone;
  }
  void host_changed(bool) override {}
  void held_back(const char*) override { ++kept_back; }
  void queue(std::size_t, std::size_t) override {}
  void queue_wait(duration) override {}
  void cache_transaction(bool, duration) override {}
  void contents_stored(std::size_t, std::size_t) override {}
  void feed_position(std::int64_t) override {}
  void status_written(bool ok) override { status_failures += ok ? 0 : 1; }
  void actor_restarted(const char*) override { ++restarts; }
};

} // namespace veranda::test
