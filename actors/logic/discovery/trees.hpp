#pragma once

#include "actors/logic/discovery/session.hpp"

#include <unordered_map>

namespace veranda::logic {

/// A tree found below another by its path: zero when there is none.
struct resolved_tree {
  oid tree;
  std::string problem; ///< of a tree on the way that cannot be read
};

/// A package on a branch; its path is relative to where the walk began.
struct branch_package {
  std::string path;
  oid tree;
  std::uint32_t facts = none;
};

/// Trees and Kptfiles of an index: reads what is missing, each object once.
class tree_store {
public:
  explicit tree_store(session& s) : s_(s) {}

  /// The tree at `path` below `root`; an empty path is the root itself.
  [[nodiscard]] result<resolved_tree> find(const oid& root, std::string_view path);

  /// Number of the tree's record: what it is, its subtrees, and for a package the facts of its Kptfile.
  [[nodiscard]] result<std::uint32_t> load(const oid& tree);

  /// All packages at or below `root` (4.4): descent stops at a package, except at `root` itself, which as a package would have no name.
  /// What cannot be looked at goes to `bad`, named `<where>:<path>`.
  [[nodiscard]] result<std::vector<branch_package>> walk(const oid& root, std::string_view where, std::string_view directory, bad_items& bad);

private:
  /// Bytes of a tree object, or why they cannot be had.
  struct raw_tree {
    const std::string* data = nullptr;
    std::string problem;
  };
  [[nodiscard]] result<raw_tree> raw(const oid& id);
  [[nodiscard]] result<std::uint32_t> load_facts(const oid& blob);
  [[nodiscard]] result<std::uint32_t> add_bad(const oid& tree, std::string_view problem);

  session& s_;
  std::unordered_map<oid, std::string> cache_; ///< of this run
  std::size_t cached_bytes_ = 0;
};

} // namespace veranda::logic
