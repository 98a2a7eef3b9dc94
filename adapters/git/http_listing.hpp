#pragma once

#include "adapters/git/git_remote.hpp"

#include <memory>

namespace veranda::git {

/// Many ref listings on one thread over libcurl's multi interface: connections are kept, HTTP/2 where the server has it, one v2 `ls-refs` POST when the server
/// is known to speak v2. Owned and driven by one thread (the http actor); not thread safe but for `wake`.
class listing_engine {
public:
  using callback = std::function<void(result<listing>)>;
  virtual ~listing_engine() = default;
  /// Starts a listing; `done` is called from `run_for`, exactly once, also on cancel; from `abandon` or destruction otherwise. The time that the limits allow a listing runs from when
  /// its turn has come; a deadline of the token's own runs while it waits, too.
  virtual void start(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, cancel_token_ptr cancel, callback done) = 0;
  /// Drives transfers for at most `slice`, returning early when `wake` is called or nothing is under way.
  virtual void run_for(std::chrono::milliseconds slice) = 0;
  /// Ends all listings with `shutting_down` and calls back, as destruction does: for an owner that ends before the engine.
  virtual void abandon() = 0;
  /// Thread safe: makes `run_for` return.
  virtual void wake() = 0;
  virtual std::size_t active() const = 0;
  /// Open connections made since the start, for metrics and tests.
  virtual std::uint64_t connections_opened() const = 0;
};

/// `per_host`: listings at one origin at a time; 0: a share of the connections.
std::unique_ptr<listing_engine> make_listing_engine(const transport_limits& limits, std::size_t max_connections, std::size_t per_host = 0);

} // namespace veranda::git
