// links: veranda_logic
#define BOOST_TEST_MODULE machine_walk
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <iostream>
#include <random>
#include <set>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

/// Drives one machine through a random life and checks after every step what must always hold. Its process dies now and then, at any instant, and begins again
/// with what was stored by then; the clock is stepped in both directions, and the host sleeps.
class walk {
public:
  explicit walk(std::uint64_t seed) : rng_(seed), seed_(seed), machine_(settings(), seed, std::nullopt) { repo_ = a_repository(); }

  void run(int steps) {
    take(machine_.on_object(repo_, now_));
    for (step_ = 0; step_ < steps; ++step_) {
      one_step();
      check();
    }
    drain();
  }
  [[nodiscard]] std::size_t syncs() const noexcept { return syncs_; }
  [[nodiscard]] std::size_t one_time_runs() const noexcept { return one_time_runs_; }
  [[nodiscard]] std::size_t deaths() const noexcept { return deaths_; }

private:
  static machine_settings settings() { return {}; }
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(rng_); }
  std::chrono::seconds random_span(int max) { return std::chrono::seconds{std::uniform_int_distribution<int>{0, max}(rng_)}; }

  void must(bool holds, const char* rule) {
    if (!holds) BOOST_FAIL(rule << ": seed " << seed_ << ", step " << step_ << ", time " << format_rfc3339(now_));
  }

  [[nodiscard]] bool allowed() const {
    return repo_.problems.empty() && !repo_.meta.annotations.contains(std::string{api_names::suspend_annotation});
  }

  // -- steps

  void one_step() {
    switch (pick(13)) {
      case 0: change_object(); break;
      case 1: trigger(); break;
      case 2: request(); break;
      case 3: step_back(); break;
      case 4: to_next_due(); break;
      case 5:
      case 6:
        now_ += pick(20) == 0 ? random_span(90'000) : random_span(90); // now and then the host sleeps
        take(machine_.on_time(now_));
        break;
      case 7:
        if (running_) listed();
        break;
      case 8: move_run_once(); break;
      case 9: die_or_store(); break;
      default:
        if (running_) {
          finish();
        } else {
          to_next_due();
        }
    }
  }

  void to_next_due() {
    const auto due = machine_.next_due();
    if (due && *due > now_) now_ = *due;
    take(machine_.on_time(now_));
  }

  void step_back() {
    peak_ = std::max(peak_, now_);
    now_ -= pick(10) == 0 ? random_span(90'000) : random_span(5);
    take(machine_.on_time(now_));
  }

  void change_object() {
    static const char* const schedules[] = {"", "*/5 * * * *", "nonsense", "0 0 31 2 *", "@every 90s", ""};
    const auto suspend = std::string{api_names::suspend_annotation};
    switch (pick(6)) {
      case 0:
        repo_.spec.git->branch = "b" + std::to_string(pick(3));
        ++repo_.meta.generation;
        break;
      case 1:
        repo_.spec.sync.schedule = schedules[pick(std::size(schedules))];
        ++repo_.meta.generation;
        replanned_ = now_;
        break;
      case 2: repo_.meta.annotations[suspend] = "true"; break;
      case 3: repo_.meta.annotations.erase(suspend); break;
      case 4: repo_.problems.push_back({"spec.git.repo", "x", "must be a URL"}); break;
      default: repo_.problems.clear();
    }
    take(machine_.on_object(repo_, now_));
  }

  void move_run_once() {
    if (pick(3) == 0) {
      repo_.spec.sync.run_once_at.reset();
    } else {
      repo_.spec.sync.run_once_at = std::chrono::floor<std::chrono::seconds>(now_ + random_span(600) - 60s);
    }
    ++repo_.meta.generation;
    take(machine_.on_object(repo_, now_));
  }

  /// A write that was put off is made up for, or the process dies first.
  void die_or_store() {
    if (pick(2) == 0)
      disk_ = machine_.durable();
    else
      die();
  }

  void die() {
    const auto published = machine_.status(now_);
    const auto owed = disk_ ? disk_->accepted_run_once : std::nullopt;
    if (pick(3) == 0) now_ += random_span(7200); // it is down for a while
    machine_ = repository_machine{settings(), ++lives_, disk_};
    machine_.restore_status(published);
    machine_.set_fence(static_cast<std::int64_t>(lives_));
    running_.reset();
    cancelled_ = false;
    unserved_ = allowed();
    last_end_ = replanned_ = now_;
    const auto fx = machine_.on_object(repo_, now_);
    if (owed && owed == repo_.spec.sync.run_once_at && repo_.problems.empty())
      must(machine_.durable().accepted_run_once == owed, "what was accepted survives");
    take(fx);
    must(running_.has_value() == allowed(), "a restart begins with a sync");
    ++deaths_;
  }

  void trigger() {
    unserved_ = true;
    take(machine_.on_trigger(pick(2) == 0 ? sync_cause::user : sync_cause::secret_changed, pick(2) == 0, now_));
  }

  void request() {
    request_ = "r" + std::to_string(++requests_);
    repo_.meta.annotations[std::string{api_names::sync_requested_annotation}] = request_;
    unserved_ = true;
    take(machine_.on_object(repo_, now_));
  }

  void listed() {
    effects fx;
    const bool goes_on = machine_.on_listed_changed(now_, fx);
    must(!fx.start, "a listing starts nothing");
    if (goes_on) must(cancelled_ || !allowed() || machine_.status(now_).conditions.at(0).reason == "Reconciling", "progress is shown");
  }

  void finish() {
    static constexpr ec codes[] = {ec::unreachable,    ec::throttled,         ec::overloaded, ec::dependency_missing, ec::auth_rejected, ec::conflict,
                                   ec::corrupt_cache, ec::checksum_mismatch, ec::cancelled,  ec::shutting_down,      ec::internal,      ec::not_found};
    sync_outcome o;
    o.sync_id = running_->sync_id;
    if (cancelled_ && pick(4) != 0) {
      o.error = fails(ec::cancelled);
    } else if (pick(3) == 0) {
      o.error = fails(codes[pick(std::size(codes))]);
    } else {
      o.unchanged = pick(2) == 0;
      o.basis.digest = "d" + std::to_string(step_);
      o.stats.revisions = pick(5);
    }
    const auto stored = machine_.durable_after(o, now_);
    const auto cause = running_->cause;
    running_.reset();
    cancelled_ = false;
    const auto fx = machine_.on_finished(o, now_);
    const auto kept = machine_.durable();
    must(stored == kept, "what is stored with the delta is what is then true");
    if (!o.error && !o.unchanged) disk_ = stored; // in one transaction with it
    if (!o.error && cause != sync_cause::health) last_end_ = now_;
    take(fx);
  }

  void take(const effects& fx) {
    if (fx.cancel_running) {
      must(running_.has_value(), "only what runs is cancelled");
      cancelled_ = true;
    }
    if (fx.persist && pick(4) != 0) disk_ = machine_.durable(); // or the store cannot be written for a while
    for (const auto& line : fx.log)
      if (line == "triggering one-time sync") must(!disk_ || disk_->consumed_run_once != repo_.spec.sync.run_once_at, "what was done, and stored as done, is not repeated");
    if (!fx.start) return;
    must(!running_, "never two syncs at once");
    must(allowed(), "nothing starts that may not");
    must(ids_.insert(fx.start->sync_id).second, "sync ids are unique");
    peak_ = std::max(peak_, now_);
    must(fx.start->due <= now_ || now_ < peak_, "nothing starts early");
    running_ = fx.start;
    unserved_ = false;
    ++syncs_;
    one_time_runs_ += fx.start->cause == sync_cause::run_once ? 1 : 0;
  }

  // -- what always holds

  void check() {
    must(machine_.syncing() == running_.has_value(), "syncing from start to finish");
    const auto status = machine_.status(now_);
    must(!status.conditions.empty() && status.conditions[0].type == "Ready", "Ready comes first");
    must(status.conditions[0].last_transition.has_value(), "conditions are stamped");
    must(says(status) == says(machine_.status(now_)), "asking changes nothing");
    if (!allowed()) must(!machine_.next_due(), "nothing is planned that may not run");
    if (running_) must(!machine_.next_due(), "nothing is planned while a sync runs");
    if (running_ || !allowed()) return;
    must(!unserved_, "no trigger waits while nothing runs");
    const auto due = machine_.next_due();
    must(due.has_value(), "a next time is always planned");
    must(*due > now_, "what is due has started");
    const auto longest = machine_settings{}.default_frequency;
    const auto& schedule = repo_.spec.sync.schedule;
    if (schedule.empty() || schedule == "nonsense") {
      const auto base = std::max({last_end_, replanned_, now_});
      must(*due <= base + longest, "the periodic schedule is never later than one period after the last end");
    }
    const auto durable = machine_.durable();
    if (durable.accepted_run_once) must(repo_.spec.sync.run_once_at == durable.accepted_run_once, "only what the spec says is armed");
    if (durable.accepted_run_once) must(*due <= std::max(*durable.accepted_run_once, now_ + 6min), "an armed one-time sync is planned");
  }

  static std::string says(const repository_status& s) {
    std::string text = s.next_sync_cause;
    for (const auto& c : s.conditions) text += "|" + c.type + c.status + c.reason + c.message + format_rfc3339(*c.last_transition);
    return text;
  }

  /// In the end, with everything allowed and every sync good, all duties are done.
  void drain() {
    repo_.problems.clear();
    repo_.meta.annotations.erase(std::string{api_names::suspend_annotation});
    take(machine_.on_object(repo_, now_));
    for (int i = 0; i < 40; ++i) {
      if (running_) {
        sync_outcome o;
        o.sync_id = running_->sync_id;
        o.basis.digest = "end";
        running_.reset();
        cancelled_ = false;
        take(machine_.on_finished(o, now_));
      } else {
        if (const auto armed = machine_.durable().accepted_run_once) now_ = std::max(now_, *armed);
        to_next_due();
      }
    }
    const auto durable = machine_.durable();
    must(durable.handled_request == request_, "every request is handled in the end");
    must(!durable.accepted_run_once, "every accepted one-time sync has run in the end");
    must(!durable.last_error_code, "a success clears the error");
  }

  std::mt19937_64 rng_;
  std::uint64_t seed_;
  repository_object repo_;
  repository_machine machine_;
  wall_time now_ = at(10, 0);
  wall_time last_end_ = at(10, 0);
  wall_time replanned_ = at(10, 0);
  std::optional<sync_order> running_;
  bool cancelled_ = false;
  bool unserved_ = false;
  wall_time peak_ = at(10, 0); ///< latest time ever seen: what was wished before a step back may be due after now
  std::optional<durable_state> disk_; ///< what a process that begins now would find
  std::uint64_t lives_ = 1;
  std::size_t deaths_ = 0;
  std::string request_;
  int requests_ = 0;
  int step_ = 0;
  std::size_t syncs_ = 0;
  std::size_t one_time_runs_ = 0;
  std::set<std::string> ids_;
};

std::uint64_t first_seed() {
  if (const char* given = std::getenv("VERANDA_WALK_SEED")) return std::strtoull(given, nullptr, 10);
  return std::random_device{}();
}

} // namespace

BOOST_AUTO_TEST_CASE(invariants_hold_along_random_lives) {
  const auto seed = first_seed();
  std::cout << "VERANDA_WALK_SEED=" << seed << '\n';
  std::size_t syncs = 0, one_time_runs = 0, deaths = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    walk w{seed + i};
    w.run(i % 200 == 0 ? 500 : 25);
    syncs += w.syncs();
    one_time_runs += w.one_time_runs();
    deaths += w.deaths();
  }
  BOOST_TEST(syncs > 5'000U); // the walks went somewhere
  BOOST_TEST(one_time_runs > 100U);
  BOOST_TEST(deaths > 100U);
}

BOOST_AUTO_TEST_CASE(a_one_time_sync_runs_at_least_once_whenever_the_process_dies) {
  const auto seed = first_seed();
  for (std::uint64_t i = 0; i < 500; ++i) {
    BOOST_TEST_CONTEXT("VERANDA_WALK_SEED=" << seed << " life " << i) {
      std::mt19937_64 rng{seed + i};
      driver d{quiet()};
      d.repo.spec.sync.run_once_at = at(10, 7);
      std::optional<durable_state> disk;
      repository_status published;
      int served = 0;
      const auto step = [&](const effects& fx) {
        if (fx.persist) disk = d.machine.durable();
        if (fx.publish) published = d.machine.status(d.now);
        served += driver::logged(fx, "finished one-time sync") ? 1 : 0;
      };
      step(d.see(d.object()));
      for (int n = 0; n < 60; ++n) {
        if (rng() % 6 == 0) { // with a sync that is lost, or before what it did is stored
          d.machine = repository_machine{quiet(), rng(), disk};
          d.machine.restore_status(published);
          d.now += std::chrono::seconds{rng() % 900};
          step(d.see(d.object()));
        } else if (d.machine.syncing() && rng() % 2 == 0) {
          step(rng() % 3 == 0 ? d.finish_failed(fails(ec::unreachable)) : d.finish_unchanged());
        } else {
          step(d.see(d.later(std::chrono::seconds{rng() % 60})));
        }
      }
      while (d.machine.syncing() || d.now < at(12, 0)) step(d.machine.syncing() ? d.finish_unchanged() : d.see(d.later(5min)));
      BOOST_TEST(served == 1); // here what ends is stored at once
    }
  }
}

BOOST_AUTO_TEST_CASE(a_one_time_sync_runs_exactly_once_whatever_else_happens) {
  const auto seed = first_seed();
  for (std::uint64_t i = 0; i < 50; ++i) {
    BOOST_TEST_CONTEXT("VERANDA_WALK_SEED=" << seed << " life " << i) {
      std::mt19937_64 rng{seed + i};
      driver d;
      d.repo.spec.sync.run_once_at = at(10, 7);
      int served = 0;
      d.see(d.object());
      for (int step = 0; step < 240; ++step) {
        effects fx;
        const bool syncing = d.machine.syncing();
        if (syncing && rng() % 2 == 0) {
          fx = rng() % 4 == 0 ? d.finish_failed(fails(ec::unreachable)) : d.finish_ok();
        } else if (rng() % 8 == 0) {
          fx = d.see(d.trigger(sync_cause::user));
        } else {
          fx = d.see(d.later(std::chrono::seconds{rng() % 40}));
        }
        served += driver::logged(fx, "triggering one-time sync") ? 1 : 0;
      }
      BOOST_TEST((d.now > at(10, 20)));
      BOOST_TEST(served == 1);
    }
  }
}
