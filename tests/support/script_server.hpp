#pragma once

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace veranda::test {

/// A running script of tests/support that serves something: it has printed NAME=VALUE lines and `ready`, and ends with this object.
class script_server {
public:
  script_server(const std::string& script, std::vector<std::string> options) {
    const auto file = std::filesystem::path{VERANDA_TEST_DATA}.parent_path() / "support" / script;
    options.insert(options.begin(), {"python3", file.string()});
    start(options);
    for (auto line = read_line(); line != "ready"; line = read_line()) {
      const auto equals = line.find('=');
      if (equals == std::string::npos) throw std::runtime_error(script + " did not start");
      values_[line.substr(0, equals)] = line.substr(equals + 1);
    }
  }
  script_server(const script_server&) = delete;
  script_server& operator=(const script_server&) = delete;
  ~script_server() {
    ::close(to_);
    std::fclose(from_);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] const std::string& value(const std::string& name) const { return values_.at(name); }

private:
  void start(const std::vector<std::string>& words) {
    int in[2], out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
    std::vector<char*> arguments;
    for (const auto& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    const int error = ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = ::fdopen(out[0], "r");
    if (error != 0) throw std::runtime_error("python3 cannot be started");
  }
  std::string read_line() {
    std::string line;
    for (int c = 0; (c = std::fgetc(from_)) != EOF && c != '\n';) line += static_cast<char>(c);
    return line;
  }
  pid_t pid_ = -1;
  int to_ = -1;
  std::FILE* from_ = nullptr;
  std::map<std::string, std::string> values_;
};

} // namespace veranda::test
