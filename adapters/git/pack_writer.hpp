#pragma once

#include "adapters/git/disk_mirror.hpp"

struct git_indexer;

namespace veranda::git {

/// Writes one received pack into a mirror through libgit2's indexer. Without `commit` nothing stays on disk.
class pack_writer {
public:
  using progress_function = std::function<void(std::uint64_t received_bytes, std::uint64_t objects)>;
  pack_writer(disk_mirror& into, const transport_limits& limits, const progress_function& progress);
  ~pack_writer();
  pack_writer(const pack_writer&) = delete;
  pack_writer& operator=(const pack_writer&) = delete;

  /// Takes the next bytes of the pack. Failures: `too_large`, `checksum_mismatch` (damaged pack), `unavailable` (disk).
  result<void> append(std::string_view bytes);
  /// Completes the pack: deltas resolved, index written, its objects there to be read. A delta whose base the mirror lacks, or has damaged, is `checksum_mismatch`. An empty pack leaves nothing.
  result<void> commit(const cancel_token& cancel);
  [[nodiscard]] std::uint64_t objects() const noexcept { return objects_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
  struct state;
  result<void> begin();
  result<void> flush();
  void report();
  disk_mirror& into_;
  const transport_limits& limits_;
  const progress_function& progress_;
  std::unique_ptr<state> state_;
  std::string pending_;
  std::uint64_t bytes_ = 0;
  std::uint64_t objects_ = 0;
  std::chrono::steady_clock::time_point reported_{};
};

} // namespace veranda::git
