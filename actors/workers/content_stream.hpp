#pragma once

#include "actors/workers/worker.hpp"

#include <span>
#include <unordered_set>

namespace veranda {

/// Streams what the store lacks of some packages: batches of at most 1 MiB, at most four unacknowledged.
class content_stream {
public:
  content_stream(const job_tools& tools, store::package_cache_reader& cache, logic::object_reader& objects, const cancel_token& cancel)
      : tools_(tools), cache_(cache), objects_(objects), cancel_(cancel) {}

  /// Sends those of these trees that are not stored, or could be stored with more of their files, and their blobs.
  result<void> send(const std::vector<oid>& trees);
  /// Waits until everything is stored.
  result<void> finish();

private:
  /// Lists these until what was listed is large, and sends it; answers how many that were.
  result<std::size_t> send_trees(std::span<const oid> trees);
  result<void> send_blobs(const std::vector<oid>& blobs);
  result<void> count(std::uint64_t bytes);
  result<void> flush();

  const job_tools& tools_;
  store::package_cache_reader& cache_;
  logic::object_reader& objects_;
  const cancel_token& cancel_;
  std::shared_ptr<msg::content_gate> gate_ = std::make_shared<msg::content_gate>(4);
  store::content_batch batch_;
  std::size_t batch_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0; ///< files and their lists
  std::unordered_set<oid> seen_blobs_;
};

} // namespace veranda
