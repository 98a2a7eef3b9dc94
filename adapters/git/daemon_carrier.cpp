#include "adapters/git/bare_connection.hpp"
#include "adapters/git/connection_guard.hpp"
#include "adapters/git/http_transfer.hpp"
#include "adapters/git/stream_upload_pack.hpp"

#include <poll.h>

namespace veranda::git {

namespace {

constexpr int poll_slice_ms = 50;
constexpr std::size_t read_bytes = 64U << 10U;

/// One connection; libcurl makes it, so that addresses, proxies and time are dealt with as for http.
class daemon_connection {
public:
  daemon_connection() : easy_((ensure_curl(), curl_easy_init())), buffer_(new char[read_bytes]) {}
  daemon_connection(const daemon_connection&) = delete;
  daemon_connection& operator=(const daemon_connection&) = delete;
  ~daemon_connection() { curl_easy_cleanup(easy_); }

  result<void> open(const git_url& url, const proxy_setting& proxy, const transport_limits& limits, const cancel_token& cancel, const remote_label& label) {
    const auto target = connection_target(url);
    if (auto why = literal_refusal(target, limits.addresses)) return refused_at(label.host, *why);
    prepare_connection(easy_, target, limits, cancel);
    curl_easy_setopt(easy_, CURLOPT_HTTPPROXYTUNNEL, 1L);
    guard_.prepare(easy_, target, {}, proxy, limits);
    const auto code = curl_easy_perform(easy_);
    if (auto why = guard_.explain(easy_, code, label)) return *std::move(why);
    if (code == CURLE_OK) return {};
    return connection_failure(code, label, cancel);
  }

  /// Moves bytes until the exchange is over or the other side has ended it.
  result<void> carry(exchange& talk, exchange_watch& watch) {
    auto& words = talk.words();
    while (!talk.complete() || !words.text.empty()) {
      auto heard = receive();
      if (!heard) return std::move(heard).error();
      const auto& bytes = *heard;
      if (bytes && bytes->empty()) return {};
      if (bytes)
        if (auto taken = watch.hear(*bytes); !taken) return taken;
      const bool said = send(words.text);
      if (!bytes && !said) wait(!words.text.empty());
      if (auto go_on = watch.interrupted(); !go_on) return go_on;
    }
    return {};
  }

private:
  /// What has arrived; nothing when nothing has yet, empty at the end.
  result<std::optional<std::string_view>> receive() {
    std::size_t n = 0;
    const auto code = curl_easy_recv(easy_, buffer_.get(), read_bytes, &n);
    if (code == CURLE_AGAIN) return std::optional<std::string_view>{};
    if (code != CURLE_OK) return failure{ec::unreachable, "the connection was lost", {}, {}, {}};
    return std::optional{std::string_view{buffer_.get(), n}};
  }
  /// True when some of it was sent. A connection that takes no more is noticed when it is read.
  bool send(std::string& text) {
    std::size_t n = 0;
    if (text.empty() || curl_easy_send(easy_, text.data(), text.size(), &n) != CURLE_OK) return false;
    text.erase(0, n);
    return n > 0;
  }
  void wait(bool to_send) const {
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(easy_, CURLINFO_ACTIVESOCKET, &socket);
    pollfd polled{socket, static_cast<short>(POLLIN | (to_send ? POLLOUT : 0)), 0};
    ::poll(&polled, 1, poll_slice_ms);
  }

  CURL* easy_;
  connection_guard guard_;
  std::unique_ptr<char[]> buffer_;
};

class daemon_carrier final : public exchange_carrier {
public:
  daemon_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel)
      : exchange_carrier(remote, url, limits, cancel, false) {}

  result<void> carry(exchange& talk) override {
    if (!limits_.allow_git_protocol)
      return at_remote({ec::invalid_spec, "git:// is neither encrypted nor proves who answers; use an https or ssh URL, or allow it in the settings (--allow-git-protocol)", {}, "spec.git.repo", {}}, label_);
    if (!auth_.anonymous() || !auth_.ssh_private_key.empty())
      return at_remote({ec::auth_rejected, "git:// carries no credentials; use an https or ssh URL, or take spec.git.secretRef away", {}, "spec.git.secretRef", {}}, label_);
    if (auto why = exposed_proxy(auth_, url_, limits_)) return *std::move(why);
    daemon_connection connection;
    if (auto opened = connection.open(url_, auth_.proxy, limits_, cancel_, label_); !opened) return opened;
    append_packet(talk.words().text, service_request());
    exchange_watch watch{talk, limits_, cancel_};
    auto done = watch.outcome(connection.carry(talk, watch));
    return done ? done : result<void>{at_remote(std::move(done).error(), label_)};
  }

private:
  [[nodiscard]] std::string service_request() const {
    const std::string nul(1, '\0');
    return "git-upload-pack " + url_.remote_path() + nul + "host=" + url_.label() + nul + nul + "version=2" + nul;
  }
};

} // namespace

std::unique_ptr<exchange_carrier> make_daemon_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  return std::make_unique<daemon_carrier>(remote, url, limits, cancel);
}

} // namespace veranda::git
