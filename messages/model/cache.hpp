#pragma once

#include "messages/model/package_revision.hpp"

#include <string>
#include <vector>

namespace veranda::store {

/// Trees and contents streamed ahead of a delta. Harmless without references; swept later.
struct content_batch {
  std::vector<package_tree> trees;
  std::vector<package_content> contents;
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
