#pragma once

#include "messages/model/oid.hpp"

#include <memory>
#include <string>
#include <vector>

namespace veranda {

/// One ref of a remote: its full name (`refs/tags/a/v1`), the object it names, and for an annotated tag what that peels to
/// (fully peeled; zero when the ref is not an annotated tag or the server did not say).
struct ref_entry {
  std::string name;
  oid target;
  oid peeled;
  bool operator==(const ref_entry&) const = default;
};

/// Refs of a remote, sorted by name, names unique.
struct ref_table {
  std::vector<ref_entry> refs;
  std::string head_target; ///< what the remote's HEAD points to (`refs/heads/main`), empty when unknown

  /// Binary search; null when absent.
  [[nodiscard]] const ref_entry* find(std::string_view name) const noexcept;
  bool operator==(const ref_table&) const = default;
};

using ref_table_ptr = std::shared_ptr<const ref_table>;

} // namespace veranda
