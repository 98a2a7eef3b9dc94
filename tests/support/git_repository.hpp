#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace veranda::test {

/// Runs a shell command and returns its standard output without the last line feed; throws when it fails.
inline std::string shell(const std::string& command) {
  std::FILE* pipe = ::popen(("set -e; " + command).c_str(), "re");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  std::string out;
  std::array<char, 4096> buffer{};
  for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) out.append(buffer.data(), n);
  if (::pclose(pipe) != 0) throw std::runtime_error("failed: " + command + "\n" + out);
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

/// A directory that is removed at the end.
class scratch_dir {
public:
  scratch_dir() {
    std::string name = (std::filesystem::temp_directory_path() / "veranda-git-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  scratch_dir(const scratch_dir&) = delete;
  scratch_dir& operator=(const scratch_dir&) = delete;
  ~scratch_dir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
  std::filesystem::path path_;
};

/// A repository with a working tree, driven with the git program, independent of the user's configuration.
class git_repository {
public:
  explicit git_repository(std::filesystem::path dir) : dir_(std::move(dir)) {
    shell("git init -q -b main '" + dir_.string() + "'");
    git("config gc.auto 0");
    git("config uploadpack.allowAnySHA1InWant false");
  }
  std::string git(const std::string& arguments) const {
    return shell("export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=a "
                 "GIT_COMMITTER_EMAIL=a@example.com; git -C '" + dir_.string() + "' " + arguments + " 2>&1");
  }
  /// Writes a file, commits it, returns the new commit.
  std::string commit(const std::string& file, const std::string& contents) const {
    std::filesystem::create_directories((dir_ / file).parent_path());
    std::ofstream{dir_ / file} << contents;
    git("add -A");
    git("commit -q -m 'change " + file + "'");
    return git("rev-parse HEAD");
  }
  [[nodiscard]] const std::filesystem::path& dir() const noexcept { return dir_; }
  [[nodiscard]] std::string url() const { return dir_.string(); }

private:
  std::filesystem::path dir_;
};

} // namespace veranda::test
