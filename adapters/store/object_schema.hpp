#pragma once

#include "adapters/store/sqlite.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

namespace veranda::store {

/// The schema of the object store's file.
extern const sqlite::schema object_schema;

/// Tells the readers of one file, on any thread of the process, how far its writer has come.
class change_hub {
public:
  /// The hub of a file, shared by all who have it open.
  [[nodiscard]] static std::shared_ptr<change_hub> of(const std::filesystem::path& file);

  void publish(std::int64_t resource_version);
  /// Waits at most `wait` for a version beyond the given one, or until `stop` is set and `wake` called.
  void wait_beyond(std::int64_t resource_version, std::chrono::milliseconds wait, const std::atomic<bool>& stop);
  /// Makes those who wait look at their `stop`.
  void wake();

private:
  std::mutex mutex_;
  std::condition_variable moved_;
  std::int64_t latest_ = 0;
};

} // namespace veranda::store
