#pragma once

#include "adapters/store/package_cache.hpp"
#include "adapters/store/sqlite.hpp"

namespace veranda::store {

/// Finds trees that no current revision has and contents that no tree has, condemns them, and removes those condemned long enough ago.
/// Works in slices: a call looks at a bounded number of rows and the next goes on from there. Contents are judged in chunks held in memory
/// against a walk over all trees; trees stored during the walk are reported through `tree_stored`, so none is overlooked.
class content_sweeper {
public:
  explicit content_sweeper(sqlite::connection& db);

  /// One slice, inside the caller's transaction. Answers how many rows it removed, at most `limit`.
  std::size_t run(wall_time now, std::chrono::seconds age, std::size_t limit);

  /// References may have gone, or contents come: there may be something to sweep again.
  void touched() noexcept { ++mutations_; }
  /// A tree was put: what it needs is not garbage any more.
  void tree_stored(const package_tree& tree);
  /// A tree or content was streamed again, or a revision got this tree.
  void pardon_tree(const oid& tree);
  void pardon_content(const oid& blob);

private:
  struct suspect {
    oid blob;
    std::int64_t id = 0;
    bool referenced = false;
  };

  void condemn_trees(std::int64_t now);
  void condemn_contents(std::int64_t now);
  void gather_suspects();
  [[nodiscard]] bool walk_trees();
  std::size_t remove_trees(std::int64_t before, std::size_t limit);
  std::size_t remove_contents(std::int64_t before, std::size_t limit);
  [[nodiscard]] suspect* find(const oid& blob) noexcept;
  [[nodiscard]] bool look_for_condemned();

  sqlite::connection& db_;
  bool condemned_ = false; ///< there may be condemned rows
  std::uint64_t mutations_ = 1;
  std::uint64_t tree_pass_ = 1, content_pass_ = 1;           ///< `mutations_` when the pass began
  std::uint64_t trees_clean_at_ = 0, contents_clean_at_ = 0; ///< the same of the last finished pass
  std::int64_t tree_cursor_ = 0;
  std::int64_t content_cursor_ = 0;
  std::int64_t walk_cursor_ = 0;
  std::vector<suspect> suspects_; ///< sorted by blob
};

} // namespace veranda::store
