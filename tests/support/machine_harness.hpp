#pragma once

#include "actors/logic/repository_machine.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace veranda::test {

/// 2026-03-10 at the given time of day, UTC.
inline wall_time at(int hour, int minute, int second = 0) {
  using namespace std::chrono;
  return sys_days{year{2026} / March / 10} + hours{hour} + minutes{minute} + seconds{second};
}

inline repository_object a_repository() {
  repository_object o;
  o.meta.key = {"team-a", "blueprints"};
  o.meta.uid = "0f1e2d3c-uid";
  o.meta.generation = 1;
  o.spec.type = repository_type::git;
  o.spec.git.emplace();
  o.spec.git->repo = "https://git.example/blueprints.git";
  return o;
}

inline failure fails(ec code, std::string what = "it failed") { return {code, std::move(what), {}, {}, {}}; }

/// One machine with its object and its clock, driven step by step.
struct machine_harness {
  explicit machine_harness(logic::machine_settings settings = {}, std::optional<durable_state> restored = {}, wall_time start = at(10, 0))
      : machine(settings, 42, std::move(restored)), now(start) {}

  logic::effects object() {
    return last = machine.on_object(repo, now);
  }
  template <class Change>
  logic::effects change(Change f) {
    f(repo.spec);
    ++repo.meta.generation;
    return object();
  }
  logic::effects annotate(std::string_view name, const std::string& value) {
    if (value.empty()) {
      repo.meta.annotations.erase(std::string{name});
    } else {
      repo.meta.annotations[std::string{name}] = value;
    }
    return object();
  }
  logic::effects time(wall_time t) {
    now = t;
    return last = machine.on_time(now);
  }
  logic::effects later(std::chrono::milliseconds d) { return time(now + d); }
  logic::effects trigger(sync_cause cause, bool full = false) { return last = machine.on_trigger(cause, full, now); }

  /// The effects' started sync, or the one that runs; the test fails through the id mismatch when none does.
  logic::effects finish(logic::sync_outcome outcome) {
    outcome.sync_id = running;
    return remember(machine.on_finished(outcome, now));
  }
  logic::effects finish_ok(std::uint64_t revisions = 3) {
    logic::sync_outcome o;
    o.basis = {"basis-" + std::to_string(++count), "0123456789012345678901234567890123456789"};
    o.stats.revisions = revisions;
    o.stats.packages = revisions;
    return finish(o);
  }
  logic::effects finish_unchanged() {
    logic::sync_outcome o;
    o.unchanged = true;
    return finish(o);
  }
  logic::effects finish_failed(failure f) {
    logic::sync_outcome o;
    o.error = std::move(f);
    return finish(o);
  }
  /// Starts from nothing and finishes the first sync well.
  logic::effects settle() {
    track(object());
    return finish_ok();
  }

  /// Follows which sync runs; every step's effects must pass here.
  const logic::effects& track(const logic::effects& fx) {
    if (fx.start) running = fx.start->sync_id;
    return fx;
  }
  logic::effects remember(logic::effects fx) {
    running.clear();
    track(fx);
    return last = std::move(fx);
  }

  [[nodiscard]] condition find(std::string_view type) {
    for (const auto& c : machine.status(now).conditions) {
      if (c.type == type) return c;
    }
    return {};
  }
  [[nodiscard]] condition ready() { return machine.status(now).conditions.at(0); }
  [[nodiscard]] static bool logged(const logic::effects& fx, std::string_view line) {
    return std::any_of(fx.log.begin(), fx.log.end(), [&](const std::string& l) { return l.find(line) != std::string::npos; });
  }

  repository_object repo = a_repository();
  logic::repository_machine machine;
  wall_time now;
  std::string running;
  logic::effects last;
  int count = 0;
};

/// A harness whose steps follow the running sync by themselves.
struct driver : machine_harness {
  using machine_harness::machine_harness;
  logic::effects see(logic::effects fx) {
    track(fx);
    return fx;
  }
};

/// The cause of the sync that the effects start, as text; `-` when they start none.
inline std::string started(const logic::effects& fx) { return fx.start ? std::string{to_string(fx.start->cause)} : "-"; }

/// Without health checks.
inline logic::machine_settings quiet() {
  logic::machine_settings s;
  s.health_check_frequency = std::chrono::milliseconds{0};
  return s;
}

} // namespace veranda::test
