#pragma once

#include "actors/common/env.hpp"
#include "adapters/git/git_client.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <optional>

namespace veranda {

/// All mirrors together.
struct mirror_totals {
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  std::uint64_t max_bytes = 0; ///< 0: no limit
  std::uint64_t removed = 0;   ///< to stay within it, since the start
};

/// One mirror, as it was measured last.
struct mirror_facts {
  std::uint64_t bytes = 0;
  wall_time last_used{};
  std::optional<wall_time> removed; ///< when it went to stay within the limit; nothing: it is there
};

/// Knows what the mirrors take on the disk, and keeps them within a limit: the least recently used goes first, one that a job holds stays. Who needs a mirror that has
/// gone fetches it whole. Thread safe; what blocks says so.
class mirror_shelf {
public:
  mirror_shelf(std::shared_ptr<git::git_client> git, std::filesystem::path all, std::uint64_t max_bytes, std::function<wall_time()> now);

  /// Measures all that are there. Blocks; removes what is beyond the limit.
  void look(const cancel_token& cancel);
  /// A job has closed this mirror. Blocks: measures it, and removes others that are beyond the limit.
  void used(const std::filesystem::path& mirror, const cancel_token& cancel);
  /// No remote uses it any more, and it is gone.
  void forget(const std::filesystem::path& mirror);

  [[nodiscard]] mirror_totals totals() const;
  /// The mirror of this remote; nothing when none was ever seen.
  [[nodiscard]] std::optional<mirror_facts> find(const std::string& remote) const;

private:
  struct known {
    logic::mirror_use use;
    std::optional<wall_time> removed;
  };
  void trim(const cancel_token& cancel);
  void trim_once(const cancel_token& cancel);
  [[nodiscard]] std::vector<logic::mirror_use> there() const;
  void went(const logic::mirror_use& gone);

  const std::shared_ptr<git::git_client> git_;
  const std::filesystem::path all_;
  const std::uint64_t max_bytes_;
  const std::function<wall_time()> now_;
  std::mutex trimming_;          ///< one removes at a time
  std::atomic<bool> again_{false}; ///< something has grown since that one looked
  bool said_ = false;            ///< that all which could go is in use; guarded by `trimming_`
  mutable std::mutex mutex_;     ///< guards what follows; held for moments
  std::map<std::string, known> mirrors_; ///< by name
  std::uint64_t removed_ = 0;
};

} // namespace veranda
