#pragma once

#include "adapters/git/git_remote.hpp"
#include "messages/model/live.hpp"

#include <memory>

namespace veranda::git {

/// Whose turn a listing takes: people go first, the rest of the listings gets every fourth turn all the same, and namespaces take turns.
struct listing_lane {
  std::string ns;
  bool user = false; ///< a person waits for it
};

/// Many ref listings on one thread over libcurl's multi interface: connections are kept, HTTP/2 where the server has it, one v2 `ls-refs` POST when the server
/// is known to speak v2. Owned and driven by one thread (the http actor); not thread safe but for `wake`.
class listing_engine {
public:
  using callback = std::function<void(result<listing>)>;
  virtual ~listing_engine() = default;
  /// Starts a listing; `done` is called from `run_for`, exactly once, also on cancel; from `abandon` or destruction otherwise. The time that the limits allow a listing runs from when
  /// its turn has come; a deadline of the token's own runs while it waits, too.
  virtual void start(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, cancel_token_ptr cancel, callback done,
                     const listing_lane& lane = {}) = 0;
  /// Where the listing with this token waits, and for what: one clause, empty when it does not wait.
  [[nodiscard]] virtual std::string place_of(const cancel_token_ptr& cancel) const = 0;
  /// How many run at a time from now on, and at one origin (0: a share of them); those that run go on.
  virtual void change_limits(std::size_t max_connections, std::size_t per_host) = 0;
  /// Drives transfers for at most `slice`, returning early when `wake` is called or nothing is under way.
  virtual void run_for(std::chrono::milliseconds slice) = 0;
  /// Ends all listings with `shutting_down` and calls back, as destruction does: for an owner that ends before the engine. Waits for a list that is being read, which takes
  /// a second when it is very long. The engine can be used again.
  virtual void abandon() = 0;
  /// Thread safe: makes `run_for` return.
  virtual void wake() = 0;
  virtual std::size_t active() const = 0;
  /// Of these, those whose turn has not come.
  virtual std::size_t waiting() const = 0;
  /// Open connections made since the start, for metrics and tests.
  virtual std::uint64_t connections_opened() const = 0;
};

/// `limits` are read when the turn of a listing has come. `per_host`: listings at one origin at a time; 0: a share of the connections.
std::unique_ptr<listing_engine> make_listing_engine(const live<transport_limits>& limits, std::size_t max_connections, std::size_t per_host = 0);

} // namespace veranda::git
