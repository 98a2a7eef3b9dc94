// links: veranda_config
// Any flags, environment and settings file are read to the end; each problem is one short line that names its source.
#include "config/settings/settings.hpp"

#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace {

/// A file in memory.
class memory_file {
public:
  explicit memory_file(std::string_view text) : fd_(::memfd_create("settings", 0)) {
    if (fd_ < 0 || ::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() { ::close(fd_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
  int fd_;
};

void check(const veranda::config::parse_outcome& outcome) {
  for (const auto& p : outcome.problems)
    if (p.what.empty() || p.object.empty() || describe(p).find('\n') != std::string::npos || describe(p).size() > 2'000) std::abort();
}

/// The lines of a text, each an argument or a variable.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty() && out.size() < 100) {
    const auto end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    std::erase(out.back(), '\0'); // cannot be in either
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  if ((data[0] & 1U) == 0) {
    const memory_file file{text};
    check(veranda::config::parse({"--config", file.path()}, {"HOME=/home/somebody"}));
    return 0;
  }
  auto arguments = lines_of(text);
  std::erase_if(arguments, [](const std::string& a) { return a.starts_with("--config"); }); // names files of this machine
  check(veranda::config::parse(arguments, {"HOME=/home/somebody"}));
  auto environment = arguments;
  std::erase_if(environment, [](const std::string& a) { return a.starts_with("VERANDAD_CONFIG"); });
  check(veranda::config::parse({}, environment));
  return 0;
}
