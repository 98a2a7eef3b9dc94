#pragma once

#include "actors/logic/package_rev_machine.hpp"
#include "adapters/kube/package_revs.hpp"
#include "adapters/store/package_mirror_reader.hpp"

#include <functional>
#include <memory>
#include <set>
#include <unordered_map>

namespace veranda {

/// Tells a `package_rev_machine` what the package cache holds: everything at first, then by the change feed; everything again when the feed does not reach back to where
/// it was, or another file has taken the place of the cache. Which repositories are in step with git is said by those who synced them, and holds while the cache has what they
/// wrote. Blocks on disk; used by one thread.
class package_rev_feed {
public:
  using time = logic::package_rev_machine::time;
  using opener = std::function<result<std::unique_ptr<store::package_mirror_reader>>()>;
  package_rev_feed(opener open, kube::package_rev_owner owner) : open_(std::move(open)), owner_(owner) {}

  /// Brings the machine up to the cache, by at most `limit` entries of the feed; true when there may be more. A failure leaves everything to the next call.
  result<bool> step(logic::package_rev_machine& machine, time now, std::size_t limit);
  /// What the object of this revision is to say; nothing when it is no longer in the cache.
  result<std::optional<kube::package_rev_part>> part(const object_key& key);

  /// A sync of the repository has succeeded in this process. The machine hears of it with the end of the feed.
  void synced(const object_key& repository, const std::string& uid);
  /// Whether the cache still has what that sync was about: what it lacks of a repository in this group is in git no more. False: the machine has heard that nothing
  /// follows from the cache.
  result<bool> holds(const object_key& group, logic::package_rev_machine& machine, time now);
  /// The repository is gone.
  void forget(const object_key& repository, logic::package_rev_machine& machine, time now);

  [[nodiscard]] std::int64_t position() const noexcept { return position_; }
  /// How often everything was read.
  [[nodiscard]] std::uint64_t loads() const noexcept { return loads_; }

private:
  struct known_sync {
    std::string name; ///< of the repository
    std::string uid;
  };
  result<void> load(logic::package_rev_machine& machine, time now);
  result<bool> follow(logic::package_rev_machine& machine, time now, std::size_t limit);
  result<void> tell_synced(logic::package_rev_machine& machine, time now);
  result<bool> still_has(const object_key& group, const known_sync& of);
  void want(logic::package_rev_machine& machine, const store::owned_revision& revision, time now) const;

  opener open_;
  kube::package_rev_owner owner_;
  std::unique_ptr<store::package_mirror_reader> reader_;
  bool loaded_ = false;
  std::int64_t position_ = 0;
  std::uint64_t loads_ = 0;
  std::unordered_map<object_key, known_sync> synced_; ///< in this process, by group
  std::set<object_key> untold_;                       ///< of those
  std::optional<time> told_;
};

} // namespace veranda
