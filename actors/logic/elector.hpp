#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/time.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace veranda::logic {

/// What a Lease says of who holds it; what is missing or null in it is as here.
struct lease_record {
  std::string holder;                ///< empty: nobody
  std::int64_t duration_seconds = 0; ///< how long it holds after it was renewed; 0: it does not say
  std::optional<wall_time> acquired; ///< for people: nobody's clock but the own one is trusted
  std::optional<wall_time> renewed;
  std::int64_t transitions = 0; ///< how often it went to another holder
  bool operator==(const lease_record&) const = default;
};

/// A Lease as the API server has it.
struct lease_object {
  lease_record record;
  std::string uid;
  std::string resource_version;
  std::string json; ///< the whole object, for what in it is not ours
  bool operator==(const lease_object&) const = default;
};

/// Must hold: lease_duration > renew_deadline > 1.2 retry_period. The quotient of the first two is how much faster one candidate's clock may run than another's.
struct elector_policy {
  std::string identity; ///< of this process and no other, ever
  std::chrono::seconds lease_duration{15};        ///< how long others wait for a holder that is silent
  std::chrono::milliseconds renew_deadline{10'000}; ///< a holder that could not renew for so long leads no more
  std::chrono::milliseconds retry_period{2'000};    ///< between two renewals, and between two looks of a candidate at the least
  double spread = 1.2; ///< a candidate waits up to so many retry periods more, so that several do not come at once
};

// What an elector wants done. Each request is given up after `timeout`.
struct lease_read {
  std::chrono::milliseconds timeout{0};
  bool operator==(const lease_read&) const = default;
};
struct lease_create {
  lease_record record;
  std::chrono::milliseconds timeout{0};
  bool operator==(const lease_create&) const = default;
};
/// Holds for just the version of `base`.
struct lease_replace {
  lease_record record;
  lease_object base;
  std::chrono::milliseconds timeout{0};
  bool operator==(const lease_replace&) const = default;
};
/// `on_due` after this long.
struct lease_wait {
  std::chrono::milliseconds delay{0};
  bool operator==(const lease_wait&) const = default;
};
/// Nothing any more: it stopped, or lost.
struct lease_done {
  bool operator==(const lease_done&) const = default;
};

enum class elector_role : std::uint8_t {
  standby, ///< somebody else leads, or nobody
  leader,  ///< until `leading_until` at the latest
  lost,    ///< led, and must do nothing more
  stopped, ///< on its own will
};
[[nodiscard]] std::string_view to_string(elector_role role) noexcept;

/// One candidate for a Lease of the API server, by client-go's algorithm. Pure: no clock, no I/O, no randomness of its own. The owner does what `next` says, one
/// thing at a time and at once, and reports what came of it; what it reports out of turn is ignored.
///
/// Two never lead at once, as long as their clocks' rates differ by less than lease_duration / renew_deadline: a leader's time is counted from before its last good
/// write was sent, a candidate's from after it saw the Lease change, both on their own steady clocks; and each write holds for one version of the Lease only. A Lease
/// that was there and is gone counts as changed. A candidate that has just begun waits a whole duration, too, unless nobody holds the Lease.
class elector {
public:
  using time = std::chrono::steady_clock::time_point;
  /// When something happened. `wall` is written into the Lease and nothing else; `draw` is a random number in [0, 1).
  struct moment {
    time now;
    wall_time wall;
    double draw = 0;
  };
  using wanted = std::variant<lease_read, lease_create, lease_replace, lease_wait, lease_done>;

  elector(elector_policy policy, const moment& m);

  [[nodiscard]] const wanted& next() const noexcept { return next_; }

  // What came of it. A Lease that is not there is a good answer to a read.
  void on_read(result<std::optional<lease_object>> got, const moment& m);
  void on_written(result<lease_object> got, const moment& m);
  /// The wait is over.
  void on_due(const moment& m);
  /// Time passes while a request is under way. True when it leads no more since.
  bool on_tick(const moment& m);
  /// Gives the Lease back, if it may be the own one. Only when everything that leading permitted has ended; until then it is renewed.
  void stop(const moment& m);

  [[nodiscard]] elector_role role() const noexcept { return role_; }
  /// Of a leader: from then on it leads no more unless this has moved on.
  [[nodiscard]] time leading_until() const noexcept { return until_; }
  /// The Lease as it was last seen; nothing while it was not, or is not there.
  [[nodiscard]] const lease_object* seen() const noexcept { return present_ && seen_ ? &*seen_ : nullptr; }
  /// True once the Lease was read, or found missing.
  [[nodiscard]] bool looked() const noexcept { return looked_; }
  /// What went wrong last; nothing once something went well. Of one that lost: why.
  [[nodiscard]] const std::optional<failure>& problem() const noexcept { return problem_; }
  [[nodiscard]] const elector_policy& policy() const noexcept { return policy_; }

private:
  enum class purpose : std::uint8_t { claim, release };

  void read(const moment& m);
  void decide(const moment& m);
  void claim(const moment& m);
  void release(const moment& m);
  void ask(lease_record record, purpose why, const moment& m);
  void led(const moment& m);
  void claim_failed(const failure& why, const moment& m);
  void release_ended(const result<lease_object>& got, const moment& m);
  void stop_failed(const failure& why);
  void wait(const moment& m);
  void observe(std::optional<lease_object> got, time now);
  void lose(failure why);
  void finish(elector_role role);
  bool lapsed(time now);
  [[nodiscard]] bool own() const { return present_ && seen_ && seen_->record.holder == policy_.identity; }
  [[nodiscard]] bool free(time now) const;
  [[nodiscard]] time expiry() const;
  [[nodiscard]] std::chrono::milliseconds patience(time now) const;

  const elector_policy policy_;
  wanted next_;
  elector_role role_ = elector_role::standby;
  std::optional<lease_object> seen_; ///< kept when it is gone
  bool present_ = false;
  bool looked_ = false;
  time observed_{}; ///< when it was last seen to change
  time asked_{};    ///< when the request under way, or the last one, began
  time until_{};
  purpose purpose_ = purpose::claim;
  bool unsure_ = false;  ///< whether the last write was made
  bool again_ = false;   ///< the Lease is read out of turn, because a write was refused
  bool stopping_ = false;
  unsigned stop_tries_ = 0;
  std::optional<failure> problem_;
};

} // namespace veranda::logic
