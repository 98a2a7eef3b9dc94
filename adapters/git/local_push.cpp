#include "adapters/git/stream_upload_pack.hpp"

#include <cstdlib>

namespace veranda::git {

namespace {

class local_push_carrier final : public exchange_carrier {
public:
  local_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel)
      : exchange_carrier(remote, url, limits, cancel, false) {
    label_.host = url.path;
  }

  result<void> carry(exchange& talk) override {
    const char* search_path = std::getenv("PATH");
    process::child_command command;
    command.arguments = {"git", "receive-pack", "--", url_.path};
    command.environment = {std::string{"PATH="} + (search_path != nullptr ? search_path : "/usr/local/bin:/usr/bin:/bin"),
                           "HOME=/nonexistent",
                           "LC_ALL=C",
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_CONFIG_GLOBAL=/dev/null",
                           "GIT_TERMINAL_PROMPT=0"};
    command.said = &talk.words();
    exchange_watch watch{talk, limits_, cancel_};
    auto ended = process::run_child(command, [&](std::string_view bytes) { return watch.hear(bytes); }, [&] { return watch.interrupted(); });
    if (talk.complete()) return {};
    if (!ended) return std::move(ended).error();
    if (ended->exit_code != 0) return from_local_git(fatal_line(ended->errors), label_);
    return watch.outcome({});
  }
};

} // namespace

std::unique_ptr<exchange_carrier> make_local_push_carrier(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  return std::make_unique<local_push_carrier>(remote, url, limits, cancel);
}

} // namespace veranda::git
