#include "adapters/process/child_process.hpp"
#include "adapters/git/stall_watch.hpp"
#include "adapters/git/upload_pack.hpp"

#include <cerrno>
#include <cstdlib>
#include <sys/stat.h>

namespace veranda::git {

namespace {

class local_upload_pack final : public upload_pack {
public:
  local_upload_pack(const git_url& url, const transport_limits& limits, const cancel_token& cancel)
      : path_(url.path), label_{url.path, false}, limits_(limits), cancel_(cancel) {}

  result<protocol_version> ask_protocol(const failure&) override {
    return read_protocol([this](const byte_sink& sink) { return run("--http-backend-info-refs", protocol_version::v2, {}, sink); }, limits_);
  }
  result<void> call(protocol_version protocol, const std::string& body, const byte_sink& sink) override {
    return run("--stateless-rpc", protocol, body, sink);
  }
  [[nodiscard]] const remote_label& label() const noexcept override { return label_; }

private:
  result<void> run(const char* mode, protocol_version protocol, std::string_view input, const byte_sink& sink) {
    struct stat found {};
    if (::stat(path_.c_str(), &found) != 0 && errno == ENOENT)
      return failure{ec::not_found, path_ + ": there is no such directory", {}, "spec.git.repo", {}};
    process::child_command command;
    // The repository may belong to another user: nothing of its own configuration is run, it is only read.
    command.arguments = {"git", "-c", "safe.directory=*", "upload-pack", mode, "--", path_};
    const char* search_path = std::getenv("PATH");
    command.environment = {std::string{"PATH="} + (search_path != nullptr ? search_path : "/usr/local/bin:/usr/bin:/bin"),
                           "HOME=/nonexistent",
                           "LC_ALL=C",
                           "GIT_CONFIG_NOSYSTEM=1",
                           "GIT_CONFIG_GLOBAL=/dev/null",
                           "GIT_TERMINAL_PROMPT=0",
                           protocol == protocol_version::v2 ? "GIT_PROTOCOL=version=2" : "GIT_PROTOCOL=version=0"};
    command.input = input;
    stall_watch watch{limits_};
    const auto counted = [&](std::string_view bytes) {
      watch.received(bytes.size());
      return sink(bytes);
    };
    const auto interrupted = [&]() -> result<void> {
      if (cancel_.expired()) return failure{cancel_.reason(), label_.host + ": git upload-pack was stopped" + (cancel_.reason() == ec::timed_out ? " at its deadline" : ""), {}, {}, {}};
      if (watch.stalled()) return failure{ec::timed_out, label_.host + ": git upload-pack sent nothing for too long", {}, {}, {}};
      return {};
    };
    auto done = process::run_child(command, counted, interrupted);
    if (!done) return at_remote(std::move(done).error(), label_);
    if (done->exit_code != 0) return from_local_git(fatal_line(done->errors), label_);
    return {};
  }

  std::string path_;
  remote_label label_;
  const transport_limits& limits_;
  const cancel_token& cancel_;
};

} // namespace

std::unique_ptr<upload_pack> make_local_upload_pack(const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  return std::make_unique<local_upload_pack>(url, limits, cancel);
}

} // namespace veranda::git
