#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/refs.hpp"

namespace veranda::git {

/// A ref table as git's `packed-refs` file (peeled, fully peeled, sorted).
[[nodiscard]] std::string render_packed_refs(const ref_table& table);
/// Inverse of `render_packed_refs`, but for `head_target`. Fails with `corrupt_cache`.
result<ref_table> parse_packed_refs(std::string_view text);

} // namespace veranda::git
