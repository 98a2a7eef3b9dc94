#include "adapters/process/find_program.hpp"

#include <algorithm>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

namespace veranda::process {

std::string find_program(std::string_view name, std::string_view search_path) {
  while (!search_path.empty()) {
    const auto end = std::min(search_path.find(':'), search_path.size());
    const auto file = std::string{search_path.substr(0, end)} + "/" + std::string{name};
    struct stat found {};
    if (file.starts_with('/') && ::stat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode) && ::access(file.c_str(), X_OK) == 0) return file;
    search_path.remove_prefix(std::min(end + 1, search_path.size()));
  }
  return {};
}

std::string find_program(std::string_view name) {
  const char* search_path = std::getenv("PATH");
  return find_program(name, search_path != nullptr ? search_path : "/usr/local/bin:/usr/bin:/bin");
}

} // namespace veranda::process
