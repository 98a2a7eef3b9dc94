#include "adapters/store/data_dir.hpp"

#include "adapters/process/descriptor.hpp"
#include "messages/model/digest.hpp"
#include "messages/model/time.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace veranda::store {
namespace {

namespace fs = std::filesystem;

failure system_failure(std::string what, const fs::path& object) {
  return {ec::unavailable, std::move(what) + ": " + std::generic_category().message(errno), object.string(), {}, {}};
}
failure refusal(std::string what, const fs::path& object) { return {ec::invalid_spec, std::move(what), object.string(), {}, {}}; }

std::optional<failure> write_all(int fd, std::string_view text, const fs::path& file) {
  while (!text.empty()) {
    const auto n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return system_failure("the file cannot be written", file);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return std::nullopt;
}

/// At most 4 KiB.
std::string read_some(int fd) {
  std::array<char, 4096> buffer{};
  const auto n = ::pread(fd, buffer.data(), buffer.size(), 0);
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string{};
}

std::string first_line(std::string text) {
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  return text;
}

std::optional<failure> prepare_directory(const fs::path& directory) {
  std::error_code code;
  if (directory.has_parent_path())
    fs::create_directories(directory.parent_path(), code);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return system_failure("the data directory cannot be created", directory);
  struct stat info {};
  if (::lstat(directory.c_str(), &info) != 0)
    return system_failure("the data directory cannot be examined", directory);
  if (S_ISLNK(info.st_mode))
    return refusal("the data directory must not be a symbolic link", directory);
  if (!S_ISDIR(info.st_mode))
    return refusal("the data directory is a file", directory);
  if (info.st_uid != ::geteuid() && info.st_uid != 0 && ::geteuid() != 0)
    return refusal("the data directory belongs to another user", directory);
  if (info.st_mode & S_IWOTH)
    return refusal("the data directory can be written by everybody; take that away with chmod o-w", directory);
  return std::nullopt;
}

/// A new file, which appears whole, and never replaces one that another process made meanwhile: without a name first, so that a process that dies leaves nothing;
/// where the file system knows no such files, under a name of its own. Then it is linked to its place.
std::optional<failure> make_file(const fs::path& file, std::string_view text) {
  const auto folder = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  std::string draft;
  process::descriptor nameless{::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600)};
  int fd = nameless.get();
  if (fd >= 0) {
    draft = "/proc/self/fd/" + std::to_string(fd);
  } else {
    draft = file.string() + "." + std::to_string(::getpid());
    ::unlink(draft.c_str());
    fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  }
  process::descriptor named{nameless.get() < 0 ? fd : -1};
  if (fd < 0)
    return system_failure("the file cannot be made", file);
  auto problem = write_all(fd, text, file);
  if (!problem && ::fsync(fd) != 0)
    problem = system_failure("the file cannot be written", file);
  if (!problem && ::linkat(AT_FDCWD, draft.c_str(), AT_FDCWD, file.c_str(), AT_SYMLINK_FOLLOW) != 0 && errno != EEXIST)
    problem = system_failure("the file cannot be made", file);
  if (named.get() >= 0)
    ::unlink(draft.c_str());
  process::descriptor list{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!problem && (list.get() < 0 || ::fsync(list.get()) != 0))
    problem = system_failure("the directory cannot be written", folder);
  return problem;
}

std::optional<std::string> random_hex() {
  std::array<std::uint8_t, 32> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return std::nullopt;
  return to_hex(bytes);
}

} // namespace

result<std::unique_ptr<data_dir_lock>> data_dir_lock::acquire(const fs::path& given) {
  // A trailing slash would make lstat follow a link.
  const auto directory = given.has_filename() ? given : given.parent_path();
  if (auto problem = prepare_directory(directory))
    return *std::move(problem);
  const auto file = directory / "lock";
  process::descriptor fd{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (fd.get() < 0)
    return system_failure("the lock file cannot be opened", file);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return system_failure("the data directory cannot be locked", file);
    const auto holder = first_line(read_some(fd.get()));
    return failure{ec::conflict, "the data directory is in use by process " + (holder.empty() ? "(unknown)" : holder), directory.string(), {}, {}};
  }
  const auto text = std::to_string(::getpid()) + "\n" + format_rfc3339(std::chrono::system_clock::now()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0)
    return system_failure("the lock file cannot be written", file);
  if (auto problem = write_all(fd.get(), text, file))
    return *std::move(problem);
  return std::unique_ptr<data_dir_lock>(new data_dir_lock{directory, fd.release()});
}

bool data_dir_lock::in_place() const noexcept {
  struct stat held {};
  struct stat named {};
  const auto file = directory_ / "lock";
  return ::fstat(file_, &held) == 0 && ::stat(file.c_str(), &named) == 0 && held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

data_dir_lock::~data_dir_lock() { ::close(file_); }

result<std::string> data_dir_lock::api_token() const { return ensure_secret_file(directory_ / api_token_file); }
result<std::string> data_dir_lock::secret_digest_key() const { return ensure_secret_file(directory_ / "secret-digest-key"); }

result<std::string> read_secret_file(const fs::path& file) {
  process::descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (fd.get() < 0) {
    if (errno == ENOENT)
      return failure{ec::not_found, "there is no such file", file.string(), {}, {}};
    if (errno == ELOOP)
      return refusal("the file must not be a symbolic link", file);
    return system_failure("the file cannot be read", file);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0)
    return system_failure("the file cannot be examined", file);
  if (!S_ISREG(info.st_mode))
    return refusal("must be a plain file", file);
  if (info.st_uid != ::geteuid() && ::geteuid() != 0)
    return refusal("the file belongs to another user", file);
  if (info.st_mode & S_IRWXO)
    return refusal("others may read or write the file; take that away with chmod o=", file);
  auto text = first_line(read_some(fd.get()));
  if (text.empty())
    return refusal("the file is empty; remove it and a new one will be made", file);
  return text;
}

result<std::string> ensure_secret_file(const fs::path& file) {
  auto present = read_secret_file(file);
  if (present || present.error().code != ec::not_found)
    return present;
  const auto secret = random_hex();
  if (!secret)
    return system_failure("the system gives no random numbers", file);
  if (auto problem = make_file(file, *secret + "\n"))
    return *std::move(problem);
  return read_secret_file(file);
}

} // namespace veranda::store
