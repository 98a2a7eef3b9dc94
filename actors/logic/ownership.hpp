#pragma once

#include <optional>
#include <string>

namespace veranda::logic {

/// Three-way merge of one object between its manifest file and what is stored: the file owns only the fields it names.
/// `last_applied`: what the file said last time (empty: never); `desired`: what it says now; `live`: the stored object (empty: none).
/// Answers the new object, or nothing when live already is as wanted. Fields that the file no longer names are removed; fields it never named are
/// kept. Lists are atomic. All three are JSON texts of whole objects. The result carries annotation `veranda.dev/managed-by: <file>`.
/// As in `kubectl apply`, null means not named; an object emptied by removals goes too. What only the store writes (status, uid, resourceVersion, ...) is
/// never taken from a file. A text that is not a JSON object, or nested deeper than 64, counts as empty.
std::optional<std::string> merge_managed(const std::string& last_applied, const std::string& desired, const std::string& live, const std::string& file);

} // namespace veranda::logic
