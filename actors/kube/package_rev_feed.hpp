#pragma once

#include "actors/logic/package_rev_machine.hpp"
#include "adapters/kube/package_revs.hpp"
#include "adapters/store/package_mirror_reader.hpp"

#include <functional>
#include <memory>

namespace veranda {

/// Tells a `package_rev_machine` what the package cache holds: everything at first, then by the change feed; everything again when the feed does not reach back to where
/// it was, or another file has taken the place of the cache. Blocks on disk; used by one thread.
class package_rev_feed {
public:
  using time = logic::package_rev_machine::time;
  using opener = std::function<result<std::unique_ptr<store::package_mirror_reader>>()>;
  package_rev_feed(opener open, kube::package_rev_owner owner) : open_(std::move(open)), owner_(owner) {}

  /// Brings the machine up to the cache, by at most `limit` entries of the feed; true when there may be more. A failure leaves everything to the next call.
  result<bool> step(logic::package_rev_machine& machine, time now, std::size_t limit);
  /// What the object of this revision is to say; nothing when it is no longer in the cache.
  result<std::optional<kube::package_rev_part>> part(const object_key& key);

  [[nodiscard]] std::int64_t position() const noexcept { return position_; }
  /// How often everything was read.
  [[nodiscard]] std::uint64_t loads() const noexcept { return loads_; }

private:
  result<void> load(logic::package_rev_machine& machine, time now);
  result<bool> follow(logic::package_rev_machine& machine, time now, std::size_t limit);
  result<void> look_after_strays(logic::package_rev_machine& machine, time now);
  result<void> tell_repositories(logic::package_rev_machine& machine, time now);
  void want(logic::package_rev_machine& machine, const store::owned_revision& revision, time now) const;

  opener open_;
  kube::package_rev_owner owner_;
  std::unique_ptr<store::package_mirror_reader> reader_;
  bool loaded_ = false;
  bool departed_told_ = false; ///< since the last load, with the API server's objects known
  std::int64_t position_ = 0;
  std::uint64_t loads_ = 0;
  std::optional<time> repositories_told_;
};

} // namespace veranda
