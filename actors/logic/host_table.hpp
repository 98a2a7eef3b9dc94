#pragma once

#include "actors/logic/backoff.hpp"
#include "messages/model/failure.hpp"

#include <map>
#include <random>
#include <string>

namespace veranda::logic {

using steady_instant = std::chrono::steady_clock::time_point;

/// What a try says about its host.
enum class host_verdict : std::uint8_t {
  good,     ///< it did what it was asked
  answered, ///< it answered, and what is wrong is the remote's own: credentials, a path
  blamed,   ///< it was not reached, did not answer in time, or said that it cannot now
  nothing,  ///< the try ended here, or took a way of its own
};
/// `why` null: it ended well. A failure that names the Secret says nothing about the host: a proxy or a CA of one's own can fail anywhere.
[[nodiscard]] host_verdict verdict_of(const failure* why) noexcept;

struct host_rules {
  unsigned failures = 5;                                                      ///< in a row, then the host is taken to be down
  backoff_policy probes{std::chrono::seconds{5}, std::chrono::minutes{5}};    ///< waits between tries while it is down
  std::chrono::milliseconds probe_patience{std::chrono::minutes{2}};          ///< a try that was not heard of for so long decides nothing any more
  std::chrono::milliseconds memory{std::chrono::hours{1}};                    ///< how long a remote's last success speaks for its host
  std::chrono::milliseconds longest_pause{std::chrono::hours{1}};             ///< that a host can ask for
};

/// Who wants to ask a host: see `msg::enter_host`.
struct host_visitor {
  std::string host;
  std::string remote;
  std::string budget;
  bool user = false;
  bool fetch = false;
};

struct host_answer {
  enum class kind : std::uint8_t {
    pass,
    probe,       ///< pass: what comes of it decides for all
    hold,        ///< until that is known
    unavailable, ///< for `wait`
    paused,      ///< for `wait`
  };
  kind what = kind::pass;
  std::uint64_t probe = 0;
  std::chrono::milliseconds wait{0};
};

/// What a try changed.
enum class host_change : std::uint8_t { nothing, opened, closed, probe_failed, probe_lost, paused, forgotten };

enum class host_condition : std::uint8_t { up, down, probing };

/// One host as it stands, for people.
struct host_view {
  host_condition condition = host_condition::up;
  steady_instant since{};      ///< of the first failure of the row
  steady_instant next_probe{}; ///< while it is down
  std::string cause;           ///< the last failure
  std::map<std::string, steady_instant> pauses; ///< by budget (`*`: all): until when
};

/// What is known of every host that remotes are at: a circuit breaker, and the waits that hosts ask for. Pure: no clock; randomness from the seed.
///
/// Breaker. Closed: all pass. `failures` in a row open it: nobody asks the host for a while, then one try (a probe) decides; while it is under way all others are held.
/// A probe that fails makes the next wait longer; any answer closes it. A person need not wait, unless a probe is under way. Only what blames the host counts, and only of a
/// remote that was well there within `memory`, unless no remote is known to be: one remote that always fails cannot close a host to others.
/// Pauses. A host that says when it wants to be asked again is left alone until then: by all when it says that it cannot now, by those it counts together when it says
/// that they asked too often.
class host_table {
public:
  host_table(host_rules rules, std::uint64_t seed) : rules_(rules), rng_(seed) {}

  [[nodiscard]] host_answer enter(const host_visitor& who, steady_instant now);
  /// What came of a try; `probe` is its number when it was one, `pause` what the host asked for.
  host_change ended(const host_visitor& who, std::uint64_t probe, const failure* why, std::optional<std::chrono::milliseconds> pause, steady_instant now);
  /// Time has passed: a probe that was not heard of is given up, and a host that is down and nobody came to for `memory` is forgotten.
  host_change expire(const std::string& host, steady_instant now);
  [[nodiscard]] host_view view(const std::string& host, steady_instant now) const;
  /// When `expire` and `view` will say something new by themselves.
  [[nodiscard]] std::optional<steady_instant> next_due(const std::string& host, steady_instant now) const;
  [[nodiscard]] std::size_t size() const noexcept { return hosts_.size(); }

private:
  struct entry {
    unsigned failures = 0; ///< in a row, that count
    bool open = false;
    std::uint32_t attempts = 0; ///< probes that failed
    std::uint64_t probe = 0;    ///< under way; 0: none
    steady_instant probe_until{};
    steady_instant next_probe{};
    steady_instant since{};
    steady_instant visited{}; ///< while it is open
    std::string cause;
    std::map<std::string, steady_instant> good; ///< remotes whose last try was good, and when
    std::map<std::string, steady_instant> pauses;
  };

  [[nodiscard]] double draw() { return std::uniform_real_distribution<double>{0.0, 1.0}(rng_); }
  [[nodiscard]] bool counts(entry& e, const std::string& remote, steady_instant now) const;
  host_change blame(entry& e, const std::string& remote, bool was_probe, const failure& why, steady_instant now);
  /// True when there was no such wait before.
  bool pause(entry& e, const host_visitor& who, const failure* why, std::chrono::milliseconds wanted, steady_instant now) const;
  void sweep(steady_instant now);

  host_rules rules_;
  std::minstd_rand rng_;
  std::map<std::string, entry> hosts_;
  std::uint64_t probes_ = 0;
  std::size_t sweep_at_ = 1024;
};

} // namespace veranda::logic
