#pragma once

#include "adapters/kube/api_answer.hpp"
#include "adapters/kube/client_config.hpp"
#include "adapters/kube/credential_source.hpp"
#include "messages/model/api_object.hpp"

#include <functional>
#include <memory>

namespace veranda::kube {

struct client_limits {
  std::string user_agent = "veranda";
  double requests_per_second = 50; ///< of all calls together; watches are not counted
  double burst = 100;
  std::size_t max_calls = 32; ///< under way at once; further ones wait
  std::size_t max_waiting = 20'000; ///< beyond these a call is answered with `overloaded`
  std::chrono::milliseconds connect_timeout{std::chrono::seconds{10}};
  std::chrono::milliseconds call_timeout{std::chrono::seconds{90}}; ///< from start to end, waiting and repeating included; the server's own limit is 60 s
  std::chrono::milliseconds idle_timeout{std::chrono::seconds{45}}; ///< without a byte in a call
  /// Without a byte in a watch. Well above the minute at which servers send bookmarks.
  std::chrono::milliseconds watch_idle_timeout{std::chrono::seconds{150}};
  std::chrono::milliseconds watch_slack{std::chrono::seconds{30}}; ///< beyond the lifetime asked for
  std::size_t max_body_bytes = 64U << 20U;
  std::size_t max_line_bytes = 8U << 20U;
  std::size_t max_unread_events = 1'000; ///< of one watch: with more the transfer pauses
  std::size_t max_unread_bytes = 16U << 20U;
  /// Calls over HTTP/1.1: one that is given up ends its connection, so that the next does not wait on a dead one.
  bool one_call_per_connection = false;
  /// Whether calls that change something may go out now. While it says no they fail with `shutting_down`, those under way too. Not set: always.
  std::function<bool()> may_write;
};

/// How a watch stands.
enum class watch_state : std::uint8_t {
  connecting,
  open,
  closed, ///< by the server, or by us at the end of its life
  cut,    ///< the connection broke; a line that was not complete is dropped
  idle,   ///< nothing came for too long
  failed, ///< `why` says how
};

/// One watch stream. Used on the client's thread; letting go of it ends the transfer.
class api_watch {
public:
  virtual ~api_watch() = default;
  /// The next event, in order; nothing when there is none yet. Events that came before the end are handed out after it, too.
  virtual std::optional<api_event> next() = 0;
  [[nodiscard]] virtual watch_state state() const = 0;
  /// Of a failed watch. `stale`: the position is too old; `unavailable`: a line that is none; `too_large`: a line beyond all bounds.
  [[nodiscard]] virtual const std::optional<failure>& why() const = 0;
  [[nodiscard]] virtual std::size_t unread() const = 0;
};

struct client_counters {
  std::uint64_t requests = 0; ///< sent, repeated ones too
  std::uint64_t repeated = 0; ///< because the server asked for it, or a read broke
  std::uint64_t reauthenticated = 0;
  std::uint64_t connections = 0; ///< opened
  std::uint64_t watches = 0;
  std::uint64_t pauses = 0; ///< of watches whose reader was slow
};

/// Speaks to one API server over libcurl's multi interface: calls over HTTP/2 where the server has it, each watch on an HTTP/1.1 connection of its own, so that
/// neither waits for the other. TLS 1.2 or later; credentials go over https only, are read on a thread of their own and anew when they end or are refused.
/// Everything has a deadline and a bound. Redirects are not followed. Driven by one thread; not thread safe but for `wake`.
class api_client {
public:
  using call_id = std::uint64_t;
  using callback = std::function<void(result<api_answer>)>;
  virtual ~api_client() = default;

  /// Starts a call; `done` is called from `run_for`, exactly once, also on cancel; from `abandon` or destruction otherwise. A failure means that there was no whole answer; error answers
  /// are answers (see `body_of`, `explain`).
  virtual call_id start(api_request request, callback done) = 0;
  /// `done` hears `cancelled` in the next `run_for`. Unknown and finished ones are ignored.
  virtual void cancel(call_id id) = 0;
  /// Ends all calls with `shutting_down` and calls back, as destruction does: for an owner that ends before the client, and that callbacks may keep. Watches go on.
  virtual void abandon() = 0;
  /// Begins a watch of objects of `kind` (see `watch_request`; `lifetime` as given there).
  virtual std::unique_ptr<api_watch> watch(api_request request, const resource_type& type, std::chrono::seconds lifetime) = 0;
  /// Drives transfers for at most `slice`; returns early when `wake` is called, a watch has something new, or a call was answered.
  virtual void run_for(std::chrono::milliseconds slice) = 0;
  /// Thread safe: makes `run_for` return.
  virtual void wake() = 0;

  /// Calls that are not answered yet.
  [[nodiscard]] virtual std::size_t active() const = 0;
  [[nodiscard]] virtual const client_counters& counters() const = 0;
  /// Why the credentials could not be read when this was last tried; nothing while all is well.
  [[nodiscard]] virtual const std::optional<failure>& credential_problem() const = 0;
};

/// `credentials` is read on a thread of the client's own.
std::unique_ptr<api_client> open_api_client(const client_config& config, std::unique_ptr<credential_source> credentials, const client_limits& limits);

} // namespace veranda::kube
