#include "adapters/git/permitted_addresses.hpp"
#include "adapters/git/ssh_client.hpp"
#include "adapters/git/stream_upload_pack.hpp"
#include "adapters/process/memory_file.hpp"

namespace veranda::git {

namespace {

constexpr int client_failed = 255; ///< or the command did; its log tells
constexpr std::size_t max_log_bytes = 8U << 10U;

class ssh_carrier final : public exchange_carrier {
public:
  ssh_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel, std::string_view service)
      : exchange_carrier(remote, url, limits, cancel, true), service_(service) {}

  result<void> carry(exchange& talk) override {
    if (auto why = obstacle()) return at_remote(*std::move(why), label_);
    auto addresses = permitted_addresses(url_, limits_, cancel_);
    if (!addresses) return std::move(addresses).error();
    auto files = make_files();
    if (!files) return at_remote(std::move(files).error(), label_);
    result<void> done;
    for (const auto& address : *addresses) {
      done = run(talk, address, *files);
      const bool silent = !done && (done.error().code == ec::unreachable || done.error().code == ec::timed_out) && talk.heard_bytes() == 0;
      const bool elsewhere = silent && !cancel_.expired(); // each address has its own time to connect
      if (!elsewhere) break;
    }
    return done;
  }

private:
  /// What the client takes from files and gives to one. None of them is on a disk.
  struct client_files {
    process::memory_file key, known_hosts, log;
  };

  [[nodiscard]] failure wanted(std::string what) const { return {ec::auth_rejected, std::move(what), {}, "spec.git.secretRef", {}}; }

  /// Why this cannot work, as far as can be seen from here.
  [[nodiscard]] std::optional<failure> obstacle() const {
    if (limits_.ssh_client.empty()) return failure{ec::unsupported, "the OpenSSH client is not installed where the daemon runs; install openssh-client and start it anew", {}, {}, {}};
    if (!auth_.proxy.url.empty()) return failure{ec::unsupported, "ssh goes through no proxy; take `proxy` out of the secret, or use an https URL", {}, "spec.git.secretRef", {}};
    if (auth_.ssh_private_key.empty()) return wanted("ssh needs a key; name a secret with `ssh-privatekey` and `known_hosts` in spec.git.secretRef");
    if (auth_.ssh_known_hosts.empty() && !limits_.ssh_accept_unknown_hosts)
      return wanted("the secret has no `known_hosts`, without which anybody could pose as the host; put what `ssh-keyscan" +
                    (url_.port == 0 ? std::string{} : " -p " + std::to_string(url_.port)) + " " + url_.host +
                    "` says into it, once it is compared with what the host's operator says");
    return std::nullopt;
  }

  [[nodiscard]] result<client_files> make_files() const {
    auto key = process::memory_file::make(auth_.ssh_private_key);
    if (!key) return std::move(key).error();
    auto known_hosts = process::memory_file::make(auth_.ssh_known_hosts);
    if (!known_hosts) return std::move(known_hosts).error();
    auto log = process::memory_file::make({});
    if (!log) return std::move(log).error();
    return client_files{*std::move(key), *std::move(known_hosts), *std::move(log)};
  }

  result<void> run(exchange& talk, const ip_address& address, const client_files& files) const {
    process::child_command command;
    command.arguments = ssh_arguments({limits_.ssh_client, address, url_, files.key.path(), auth_.ssh_known_hosts.empty() ? std::string{} : files.known_hosts.path(),
                                       files.log.path(), limits_.connect_timeout, service_});
    command.environment = {"LC_ALL=C", "PATH=/usr/bin:/bin", "HOME=/nonexistent"};
    command.said = &talk.words();
    exchange_watch watch{talk, limits_, cancel_};
    auto ended = process::run_child(command, [&](std::string_view bytes) { return watch.hear(bytes); }, [&] { return watch.interrupted(); });
    if (talk.complete()) return {};
    if (!ended) return at_remote(std::move(ended).error(), label_);
    if (ended->exit_code == client_failed) return from_ssh_log(files.log.read(max_log_bytes), url_, label_);
    if (ended->exit_code != 0) return from_remote_exit(ended->exit_code, ended->errors, label_);
    return at_remote(watch.outcome({}).error(), label_);
  }

  std::string_view service_;
};

} // namespace

std::unique_ptr<exchange_carrier> make_ssh_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel,
                                                   std::string_view service) {
  return std::make_unique<ssh_carrier>(remote, url, limits, cancel, service);
}

} // namespace veranda::git
