#pragma once

#include "messages/model/refs.hpp"

#include <set>

namespace veranda::logic {

/// What to ask a remote for when these branches are registered on it: the branches by full name, drafts, proposals, deletion proposals, tags. Sorted.
[[nodiscard]] std::vector<std::string> ref_prefixes_for(const std::set<std::string>& branches);

/// The refs of a listing that a mirror keeps: registered branches, `drafts/`, `proposed/`, `deletionProposed/`, and tags with a slash.
[[nodiscard]] ref_table mirrored_refs(const ref_table& listed, const std::set<std::string>& branches);

} // namespace veranda::logic
