#include "adapters/source/file_reader.hpp"

#include "adapters/codec/json_writer.hpp"
#include "adapters/process/descriptor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace veranda::source {
namespace {

std::int64_t nanoseconds(const timespec& t) { return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec; }

file_signature signature_of(const struct stat& s) {
  return {static_cast<std::uint64_t>(s.st_dev), static_cast<std::uint64_t>(s.st_ino), static_cast<std::uint64_t>(s.st_size),
          nanoseconds(s.st_mtim), nanoseconds(s.st_ctim)};
}

failure system_failure(const std::string& name, int error) {
  const ec code = error == ENOENT || error == ENOTDIR || error == ELOOP ? ec::not_found : ec::unavailable;
  return {code, std::string{"cannot be read: "} + std::strerror(error), name, {}, std::nullopt};
}

failure not_regular(const std::string& name) { return {ec::unsupported, "is not a regular file", name, {}, std::nullopt}; }

/// Whether every user may pass through the directory and all above it.
bool open_to_all(int directory) {
  process::descriptor here{::openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  struct stat s {};
  if (!here || ::fstat(here.get(), &s) != 0)
    return false;
  for (;;) {
    if ((s.st_mode & S_IXOTH) == 0)
      return false;
    process::descriptor above{::openat(here.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    struct stat a {};
    if (!above || ::fstat(above.get(), &a) != 0)
      return false;
    if (a.st_dev == s.st_dev && a.st_ino == s.st_ino)
      return true;
    here = std::move(above);
    s = a;
  }
}

} // namespace

result<file_signature> stat_file(int directory, const std::string& name) {
  struct stat s {};
  if (::fstatat(directory, name.c_str(), &s, 0) != 0)
    return system_failure(name, errno);
  if (!S_ISREG(s.st_mode))
    return not_regular(name);
  return signature_of(s);
}

result<file_text> read_file(int directory, const std::string& name, std::uint64_t max_bytes) {
  // Without O_NONBLOCK a named pipe would hold us until somebody writes to it.
  const process::descriptor fd{::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  struct stat before {};
  if (!fd || ::fstat(fd.get(), &before) != 0)
    return system_failure(name, errno);
  if (!S_ISREG(before.st_mode))
    return not_regular(name);
  const auto size = static_cast<std::uint64_t>(before.st_size);
  if (size > max_bytes)
    return failure{ec::too_large, "has " + std::to_string(size) + " bytes, the limit is " + std::to_string(max_bytes), name, {}, std::nullopt};
  file_text out{std::string(size, '\0'), signature_of(before), (before.st_mode & S_IROTH) != 0 && open_to_all(directory)};
  std::size_t done = 0;
  while (done < out.text.size()) {
    const auto n = ::read(fd.get(), out.text.data() + done, out.text.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return system_failure(name, errno);
    if (n == 0)
      break;
    done += static_cast<std::size_t>(n);
  }
  struct stat after {};
  if (done != out.text.size() || ::fstat(fd.get(), &after) != 0 || signature_of(after) != out.signature)
    return failure{ec::conflict, "is being written", name, {}, std::nullopt};
  return out;
}

bool manifest_name(const std::string& name) noexcept {
  const bool text = codec::valid_utf8(name) && std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return text && !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
         (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

} // namespace veranda::source
