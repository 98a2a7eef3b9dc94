#pragma once

#include "messages/model/package_revision.hpp"

#include <string>
#include <vector>

namespace veranda::store {

/// How many losses of one package are named; the others are counted.
inline constexpr std::size_t named_losses = 10;

/// What of a package's files is not in the store: left out, or listed without their bytes.
struct tree_losses {
  oid tree;
  std::uint64_t count = 0;
  std::vector<bad_item> first; ///< at most `named_losses`, by their paths within the package
  bool operator==(const tree_losses&) const = default;
};

/// Trees and contents streamed ahead of a delta. Harmless without references; swept later.
struct content_batch {
  std::vector<package_tree> trees;
  std::vector<package_content> contents;
  std::vector<tree_losses> losses = {}; ///< of those of `trees` that are not whole
  [[nodiscard]] std::size_t size_bytes() const noexcept;
};

/// The right to write one repository's rows, drawn by `claim`.
struct repository_claim {
  object_key key;
  std::string uid;
  std::int64_t fence = 0;
  std::string basis_digest; ///< of the sync basis that the cache holds for it; a basis remembered from elsewhere that differs is void
  bool operator==(const repository_claim&) const = default;
};

/// Outcome of applying a delta.
struct apply_result {
  std::int64_t position = 0; ///< feed position after the transaction
  std::uint64_t revisions = 0;
  std::uint64_t packages = 0;
  /// Revisions that were left out because another repository of the namespace has one of the same object name (`a` + `b.c`, `a.b` + `c`).
  std::vector<bad_item> rejected;
};

} // namespace veranda::store
