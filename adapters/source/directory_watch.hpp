#pragma once

#include "adapters/process/descriptor.hpp"
#include "adapters/source/file_reader.hpp"

#include <chrono>
#include <filesystem>

namespace veranda::source {

/// inotify on one directory. Says only that something may have changed; a directory that cannot be watched (missing, too many watches) is never
/// reported, so callers look for themselves from time to time as well. Used by one thread.
class directory_watch {
public:
  explicit directory_watch(std::filesystem::path dir);
  /// Watches what the path names now: call before listing. Cheap when nothing changed.
  void refresh();
  /// Waits at most `wait` for an event that concerns manifests.
  [[nodiscard]] bool wait(std::chrono::milliseconds wait);
  /// Thread safe: the wait under way and all later ones end at once.
  void interrupt();
  /// Throws away the events of now.
  void drain();

private:
  [[nodiscard]] bool read_events();

  std::filesystem::path dir_;
  process::descriptor inotify_;
  process::descriptor interrupted_;
  int watch_ = -1;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

} // namespace veranda::source
