#pragma once

#include "adapters/git/exchange.hpp"
#include "adapters/git/stall_watch.hpp"
#include "adapters/git/upload_pack.hpp"

namespace veranda::git {

/// A way to a service of git, mostly a `git-upload-pack`, that keeps its connection open: each exchange has a connection of its own, which ends with it. Blocks; one thread.
class exchange_carrier {
public:
  virtual ~exchange_carrier() = default;
  /// Carries it to its end: success means that it is complete. Failures name the remote, and are classified as those of `list_refs` are. Blocks until the end, the cancel
  /// token or a stall.
  virtual result<void> carry(exchange& talk) = 0;
  /// What error texts call this remote; after a redirect, the host that was led to.
  [[nodiscard]] const remote_label& label() const noexcept { return label_; }

protected:
  /// The arguments but `url` must outlive it. `authenticated`: with it the remote knows who asks.
  exchange_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel, bool authenticated)
      : auth_(remote.auth), url_(url), limits_(limits), cancel_(cancel), label_{url.label(), authenticated} {}

  const credentials& auth_;
  const git_url url_;
  const transport_limits& limits_;
  const cancel_token& cancel_;
  remote_label label_;
};

/// The OpenSSH client as a child process. The arguments must outlive it.
std::unique_ptr<exchange_carrier> make_ssh_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel,
                                                   std::string_view service = upload_pack_service);
/// A connection to `git daemon`. The arguments must outlive it.
std::unique_ptr<exchange_carrier> make_daemon_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel);

/// Smart HTTP, for a push: its two requests are one exchange. The arguments must outlive it.
std::unique_ptr<exchange_carrier> make_http_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel);
/// `git receive-pack` as a child process, which runs the hooks of the repository: one of another user is refused. The arguments must outlive it.
std::unique_ptr<exchange_carrier> make_local_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel);

/// The service at the other end of it.
std::unique_ptr<upload_pack> make_stream_upload_pack(std::unique_ptr<exchange_carrier> carrier, const transport_limits& limits);
/// Lists the refs by one exchange; see `list_refs`.
result<listing> list_by_exchange(exchange_carrier& carrier, const ref_prefixes& prefixes, const std::string& known_digest, const transport_limits& limits);

/// Says when an exchange has to be given up: its token, a stall, or a connection that stays open though all was said.
class exchange_watch {
public:
  exchange_watch(exchange& talk, const transport_limits& limits, const cancel_token& cancel) : talk_(talk), cancel_(cancel), stall_(limits) {}
  /// Takes what arrives for the exchange.
  result<void> hear(std::string_view bytes) {
    stall_.received(bytes.size());
    return talk_.hear(bytes);
  }
  /// Asked now and then while nothing arrives: a failure when it is time to give up. `cancelled` or `timed_out` of the token; `timed_out` of a stall, and of a connection
  /// that is open two seconds after the last word.
  result<void> interrupted();
  /// How it went, after a connection that ended this way.
  [[nodiscard]] result<void> outcome(result<void> ended) const;

private:
  exchange& talk_;
  const cancel_token& cancel_;
  stall_watch stall_;
  std::optional<std::chrono::steady_clock::time_point> complete_since_;
};

} // namespace veranda::git
