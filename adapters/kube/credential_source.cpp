#include "adapters/kube/credential_source.hpp"

#include "adapters/kube/exec_credential.hpp"
#include "adapters/process/child_process.hpp"
#include "adapters/source/file_reader.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

namespace veranda::kube {

namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds before_expiry{10};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string{text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1)};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

std::vector<std::string> own_environment() {
  std::vector<std::string> out;
  for (char** at = ::environ; at != nullptr && *at != nullptr; ++at) out.emplace_back(*at);
  return out;
}

class file_credentials final : public credential_source {
public:
  file_credentials(client_config config, credential_options options) : config_(std::move(config)), options_(std::move(options)) {
    if (!options_.now) options_.now = [] { return std::chrono::system_clock::now(); };
    if (!options_.environment) options_.environment = own_environment;
  }

  [[nodiscard]] bool renewable() const override {
    const auto& user = config_.user;
    const auto from_file = [](const pem_source& p) { return p.text.empty() && !p.file.empty(); };
    return config_.cluster.server.secure() && (user.exec || !user.token_file.empty() || from_file(user.client_certificate) || from_file(user.client_key) ||
                                               from_file(config_.cluster.certificate_authority));
  }

  result<credential_reading> read(bool rejected, const std::function<result<void>()>& interrupted) override {
    credential_reading out;
    if (!config_.cluster.server.secure()) return out;
    if (renewable()) out.fresh_for = options_.reread;
    const auto& user = config_.user;
    auto& into = out.credentials;
    into.username = user.username;
    into.password = user.password;
    if (auto done = read_pem(config_.cluster.certificate_authority, last_.ca_pem, into.ca_pem, "certificate-authority", out); !done) return done.error();
    if (auto done = read_pair(into, out); !done) return done.error();
    if (auto done = read_token(into, out); !done) return done.error();
    if (user.exec)
      if (auto done = read_plugin(rejected, interrupted, into, out); !done) return done.error();
    if (has_control(into.token) || has_control(into.username) || has_control(into.password))
      return failure{ec::auth_rejected, "the credentials hold control characters, which no header can carry", config_.origin, "user", {}};
    last_ = into;
    return out;
  }

private:
  result<std::string> file_text(const std::string& path, std::string_view field) const {
    auto read = source::read_file(AT_FDCWD, path, options_.max_file_bytes);
    if (!read)
      return failure{read.error().code == ec::not_found ? ec::dependency_missing : read.error().code, path + ": " + read.error().what, config_.origin, std::string{field}, {}};
    return std::move(read->text);
  }

  /// What was read last is kept while a file is away: it may be in the middle of a rotation.
  static result<void> keep(const std::string& last, std::string& into, failure why, credential_reading& out) {
    if (last.empty()) return why;
    into = last;
    out.problem = std::move(why);
    return {};
  }

  result<void> read_pem(const pem_source& from, const std::string& last, std::string& into, std::string_view field, credential_reading& out) const {
    into = from.text;
    if (!into.empty() || from.file.empty()) return {};
    auto text = file_text(from.file, field);
    if (text && text->find("-----BEGIN ") == std::string::npos)
      text = failure{ec::auth_rejected, from.file + ": holds nothing in PEM form", config_.origin, std::string{field}, {}};
    if (!text) return keep(last, into, text.error(), out);
    into = *std::move(text);
    return {};
  }

  /// A certificate and its key belong together: both new, or both as they were.
  result<void> read_pair(api_credentials& into, credential_reading& out) const {
    const auto& user = config_.user;
    if (auto done = read_pem(user.client_certificate, last_.client_certificate_pem, into.client_certificate_pem, "client-certificate", out); !done) return done;
    if (auto done = read_pem(user.client_key, last_.client_key_pem, into.client_key_pem, "client-key", out); !done) return done;
    if (out.problem && !last_.client_certificate_pem.empty()) {
      into.client_certificate_pem = last_.client_certificate_pem;
      into.client_key_pem = last_.client_key_pem;
    }
    return {};
  }

  result<void> read_token(api_credentials& into, credential_reading& out) const {
    const auto& user = config_.user;
    into.token = trimmed(user.token);
    if (user.token_file.empty()) return {};
    auto text = file_text(user.token_file, "token");
    auto token = text ? trimmed(*text) : std::string{};
    if (text && token.empty()) text = failure{ec::dependency_missing, user.token_file + ": is empty", config_.origin, "token", {}};
    if (!text) return keep(last_.token.empty() ? into.token : last_.token, into.token, text.error(), out);
    into.token = std::move(token);
    return {};
  }

  result<void> read_plugin(bool rejected, const std::function<result<void>()>& interrupted, api_credentials& into, credential_reading& out) {
    const auto now = options_.now();
    const bool good = plugin_ && !rejected && (!plugin_->expires || *plugin_->expires - before_expiry > now);
    if (!good) {
      auto printed = run_plugin(interrupted, into.ca_pem);
      const bool usable = plugin_ && !rejected && plugin_->expires && *plugin_->expires > now;
      if (!printed && !usable) return printed.error();
      if (printed) plugin_ = *std::move(printed);
      else out.problem = printed.error();
    }
    into.token = trimmed(plugin_->token);
    if (!plugin_->client_certificate_pem.empty()) {
      into.client_certificate_pem = plugin_->client_certificate_pem;
      into.client_key_pem = plugin_->client_key_pem;
    }
    if (plugin_->expires) {
      const auto left = std::chrono::duration_cast<std::chrono::seconds>(*plugin_->expires - before_expiry - now);
      out.fresh_for = std::clamp(left, before_expiry, std::max(options_.reread, before_expiry)); // looked at in slices: clocks jump
    }
    return {};
  }

  result<exec_credential> run_plugin(const std::function<result<void>()>& interrupted, std::string_view ca_pem) const {
    const auto& plugin = *config_.user.exec;
    process::child_command command;
    command.arguments = {plugin.command};
    command.arguments.insert(command.arguments.end(), plugin.arguments.begin(), plugin.arguments.end());
    command.environment = plugin_environment(ca_pem);
    std::string output;
    const auto until = clock::now() + options_.plugin_deadline;
    const auto explain = [&](ec code, std::string what) { return failure{code, std::move(what), config_.origin, "user.exec", {}}; };
    const auto sink = [&](std::string_view bytes) -> result<void> {
      if (output.size() + bytes.size() > options_.max_plugin_bytes) return explain(ec::too_large, "the credential plugin printed more than allowed");
      output.append(bytes);
      return {};
    };
    const auto stop = [&]() -> result<void> {
      if (auto go_on = interrupted(); !go_on) return go_on;
      if (clock::now() >= until) return explain(ec::timed_out, "the credential plugin `" + plugin.command + "` did not end in time");
      return {};
    };
    auto done = process::run_child(command, sink, stop);
    if (!done) {
      auto why = done.error();
      if (why.code == ec::unavailable) why = explain(ec::auth_rejected, why.what + (plugin.install_hint.empty() ? "" : "; " + plugin.install_hint));
      return why;
    }
    // Its error output may hold anything, so it is not shown.
    if (done->exit_code != 0)
      return explain(ec::auth_rejected, "the credential plugin `" + plugin.command + "` failed (exit code " + std::to_string(done->exit_code) + "); run it by hand to see why");
    return parse_exec_credential(plugin, output);
  }

  std::vector<std::string> plugin_environment(std::string_view ca_pem) const {
    const auto& plugin = *config_.user.exec;
    std::map<std::string, std::string> variables;
    const auto add = [&](const std::string& entry) {
      if (const auto at = entry.find('='); at != std::string::npos && at != 0) variables.insert_or_assign(entry.substr(0, at), entry.substr(at + 1));
    };
    for (const auto& entry : options_.environment()) add(entry);
    for (const auto& [name, value] : plugin.environment) variables.insert_or_assign(name, value);
    variables.insert_or_assign("KUBERNETES_EXEC_INFO", exec_info(plugin, config_.cluster, ca_pem));
    std::vector<std::string> out;
    for (const auto& [name, value] : variables) out.push_back(name + "=" + value);
    return out;
  }

  client_config config_;
  credential_options options_;
  api_credentials last_;
  std::optional<exec_credential> plugin_;
};

} // namespace

std::unique_ptr<credential_source> open_credentials(client_config config, credential_options options) {
  return std::make_unique<file_credentials>(std::move(config), std::move(options));
}

} // namespace veranda::kube
