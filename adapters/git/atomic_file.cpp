#include "adapters/git/atomic_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace veranda::git {

namespace {

class open_file {
public:
  open_file(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;
  ~open_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

private:
  int fd_;
};

bool write_all(int fd, std::string_view rest) {
  while (!rest.empty()) {
    const auto n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

} // namespace

failure file_failure(std::string_view action, const std::filesystem::path& path, int error) {
  const std::string_view hint = error == ENOSPC || error == EDQUOT ? "; free some space" : error == EACCES || error == EPERM || error == EROFS ? "; mend its owner or mode" : "";
  return {ec::unavailable, std::string{action} + " failed: " + std::strerror(error) + std::string{hint}, path.string(), {}, {}};
}

result<void> sync_path(const std::filesystem::path& path) {
  const open_file file{path, O_RDONLY};
  if (file.get() < 0 || ::fsync(file.get()) != 0) return file_failure("bringing it to the disk", path, errno);
  return {};
}

result<void> replace_file(const std::filesystem::path& path, std::string_view contents, durability wanted) {
  auto beside = path;
  beside += ".new";
  {
    const open_file file{beside, O_WRONLY | O_CREAT | O_TRUNC};
    if (file.get() < 0 || !write_all(file.get(), contents) || (wanted != durability::eventual && ::fsync(file.get()) != 0)) {
      auto f = file_failure("writing", path, errno);
      ::unlink(beside.c_str());
      return f;
    }
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return file_failure("replacing", path, errno);
  return wanted == durability::on_disk ? sync_path(path.parent_path()) : result<void>{};
}

result<std::optional<std::string>> read_file(const std::filesystem::path& path) {
  const open_file file{path, O_RDONLY};
  if (file.get() < 0) return errno == ENOENT ? result<std::optional<std::string>>{std::optional<std::string>{}} : file_failure("opening", path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return file_failure("reading", path, errno);
  std::string contents(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < contents.size()) {
    const auto n = ::read(file.get(), contents.data() + done, contents.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_failure("reading", path, errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  contents.resize(done);
  return std::optional{std::move(contents)};
}

} // namespace veranda::git
