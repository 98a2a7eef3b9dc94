#pragma once

#include "messages/model/cache.hpp"
#include "messages/model/sync.hpp"

#include <functional>
#include <vector>

namespace veranda::store {

enum class feed_event : std::uint8_t { added, modified, deleted };

/// What a cached revision is, in full: the row plus the repository's name.
struct cached_revision {
  object_key repository;
  package_revision revision; ///< commit and lock resolved: never zero
  std::string resource_version;
  wall_time created{}; ///< when it first entered the cache
  bool deployment = false;
};

/// One entry of the change feed. `revision` is the state after the event (before it, for `deleted`).
struct feed_entry {
  std::int64_t position = 0; ///< strictly increasing, in commit order
  feed_event event = feed_event::added;
  cached_revision object;
};

/// Name and digest of each cached revision of a repository.
struct snapshot_entry {
  std::string name;
  sha256_digest digest{};
};

/// A current revision some of whose files are not in the store.
struct incomplete_revision {
  std::string name;
  std::string ref;
  std::string directory; ///< of the package in the remote
  oid tree;
};

/// Which revisions to list. Empty fields do not restrict.
struct revision_query {
  std::string ns;
  std::string repository;
  std::string name;
  object_key after = {}; ///< only what is listed behind this object
};

/// Read side. Each object holds a connection of its own and is used by one thread at a time; it never blocks the
/// writer. All calls block on disk. Failures: `unavailable` (busy, disk), `corrupt_cache`.
class package_cache_reader {
public:
  virtual ~package_cache_reader() = default;
  /// Everything cached of one repository. Empty when it is unknown.
  virtual result<std::vector<snapshot_entry>> snapshot(const std::string& uid) = 0;
  /// Which of these trees the store lacks, or has without the bytes of a file that is no larger than `max_resource_bytes`; in the given
  /// order without repeats.
  virtual result<std::vector<oid>> missing_trees(const std::vector<oid>& trees, std::uint64_t max_resource_bytes) = 0;
  /// Which of these blobs the store lacks, in the given order without repeats.
  virtual result<std::vector<oid>> missing_contents(const std::vector<oid>& blobs) = 0;
  /// The current revisions of a repository that are not stored as a whole, by name.
  virtual result<std::vector<incomplete_revision>> incomplete_revisions(const std::string& uid) = 0;
  /// What is lost of those of these trees that are not stored as a whole, in the given order. At most `named` losses are named in all.
  virtual result<std::vector<tree_losses>> losses(const std::vector<oid>& trees, std::size_t named) = 0;
  virtual result<std::optional<durable_state>> state(const std::string& uid) = 0;
  virtual result<std::vector<durable_state>> states() = 0;
  /// Calls `f` for each match ordered by namespace and name until it returns false; answers the feed position that the listing is
  /// consistent with. One read transaction.
  virtual result<std::int64_t> list(const revision_query& query, const std::function<bool(const cached_revision&)>& f) = 0;
  /// How many `list` would call `f` for, without building them.
  virtual result<std::uint64_t> count(const revision_query& query) = 0;
  virtual result<std::optional<cached_revision>> get(const object_key& name) = 0;
  /// The files of a package with their bytes (`omitted_too_large` ones without), sorted by path.
  virtual result<std::vector<std::pair<package_file, std::string>>> resources(const oid& tree) = 0;
  /// Feed entries after `position`, oldest first, at most `limit`. `stale` when the feed no longer reaches back that far, or the
  /// position is from the future.
  virtual result<std::vector<feed_entry>> feed_after(std::int64_t position, std::size_t limit) = 0;
  virtual result<std::int64_t> feed_position() = 0;
  /// True when another file has taken the place of the one that is read (a damaged cache was moved aside): open a new reader.
  [[nodiscard]] virtual bool outdated() const { return false; }
};

/// Write side: every mutation, in transactions. Used by one thread (the cache writer). All calls block on disk.
/// Failures: `unavailable` (disk full, busy), `corrupt_cache`, `stale` (fence). Nothing is half applied.
class package_cache {
public:
  virtual ~package_cache() = default;
  /// Draws a new fence for (key, uid). Rows of the same key under another uid are removed in the same transaction (the object
  /// was re-created). `stale` when the stored epoch is higher than `epoch`.
  /// The answered basis is empty when the store could keep more of the repository's files than it does: nothing is in step then.
  virtual result<repository_claim> claim(const object_key& key, const std::string& uid, std::int64_t epoch) = 0;
  /// Idempotent; stores the spec that readers need (deployment flag, branch, directory). Another deployment flag modifies every revision.
  virtual result<void> open(const repository_claim& claim, const repository_spec& spec) = 0;
  /// A tree that is stored already is replaced when the new listing lets larger files in, and its revisions count as modified.
  virtual result<void> put_contents(const content_batch& batch) = 0;
  /// One transaction: fence check, delta, basis, durable state (all of `state` but key, uid and fence), feed.
  /// Applying an empty delta with an unchanged state writes nothing. `state.basis` becomes the basis; the branch tip that branch revisions
  /// show as their commit is `delta.basis.commit`, or `state.basis.commit` when that is empty. `state.revisions` and `state.packages` are
  /// ignored: the cache counts. A revision is added or changed whichever list it is in, and one that is stored already causes no event.
  /// `conflict` when a tree of the delta is not stored (it was swept since it was asked for): stream again what `missing_trees` answers.
  virtual result<apply_result> apply_delta(const repository_claim& claim, const package_delta& delta, const durable_state& state) = 0;
  /// Durable state alone, under the fence; its counts and its basis are ignored: they tell of the rows, which change with deltas only.
  virtual result<void> put_state(const repository_claim& claim, const durable_state& state) = 0;
  /// Removes everything of the repository, with Deleted feed entries. Unknown: success.
  virtual result<void> close(const repository_claim& claim) = 0;
  /// Removes contents and trees that have been found without references for `age`; at most `limit` rows, and a bounded look at the others,
  /// so that it never holds the writer long: the next call goes on where this one stopped. Answers how many went; 0 does not say that
  /// nothing is left, so call it at intervals. What waits to be removed counts as missing for readers, and comes back when streamed again.
  virtual result<std::size_t> sweep(std::chrono::seconds age, std::size_t limit) = 0;
  /// Reads the whole file and says whether it is sound: `corrupt_cache` with what was found first. Takes as long as reading the file does.
  virtual result<void> check() = 0;
};

} // namespace veranda::store
