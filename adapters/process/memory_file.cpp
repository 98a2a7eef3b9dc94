#include "adapters/process/memory_file.hpp"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>

namespace veranda::process {

namespace {

failure system_failure(int error) { return {ec::unavailable, std::string{"no file in memory: "} + std::strerror(error), {}, {}, {}}; }

} // namespace

result<memory_file> memory_file::make(std::string_view contents) {
  descriptor file{::memfd_create("veranda", MFD_CLOEXEC)};
  if (!file.open() || ::fchmod(file.get(), 0600) != 0) return system_failure(errno);
  while (!contents.empty()) {
    const auto n = ::write(file.get(), contents.data(), contents.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_failure(errno);
    contents.remove_prefix(static_cast<std::size_t>(n));
  }
  return memory_file{std::move(file)};
}

std::string memory_file::path() const { return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_.get()); }

std::string memory_file::read(std::size_t limit) const {
  std::string out(limit, '\0');
  const auto n = ::pread(file_.get(), out.data(), out.size(), 0);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

} // namespace veranda::process
