#include "adapters/store/sqlite.hpp"
#include "adapters/store/sqlite_package_cache.hpp"

#include <algorithm>

namespace veranda::store {

namespace fs = std::filesystem;

result<fs::path> move_aside(const fs::path& file, wall_time now) {
  return sqlite::guarded([&] {
    auto stamp = format_rfc3339(now);
    std::erase(stamp, ':');
    const auto base = file.string() + ".damaged-" + stamp;
    auto target = base;
    std::error_code code;
    for (int n = 1; fs::exists(target, code); ++n)
      target = base + "-" + std::to_string(n);
    // The database goes last: without it, its log would be taken for that of the new file.
    for (const char* suffix : {"-wal", "-shm", ""}) {
      fs::rename(file.string() + suffix, target + suffix, code);
      if (code && code != std::errc::no_such_file_or_directory)
        throw sqlite::error{{ec::unavailable, "the damaged file cannot be renamed: " + code.message(), file.string(), {}, {}}};
    }
    return fs::path{target};
  });
}

} // namespace veranda::store
