#pragma once

#include <cctz/time_zone.h>

#include <optional>
#include <string>

namespace veranda::logic {

/// A zone by its IANA name; `UTC` or an empty name is UTC, `Local` is the process's own zone. Nothing for a name that is not in the
/// machine's zone database, so a name can neither leave its directory nor grow cctz's cache without bound. Reads a file on the first use of a zone.
[[nodiscard]] std::optional<cctz::time_zone> load_zone(const std::string& name);

/// A zone that `load_zone` has accepted before, from memory.
[[nodiscard]] cctz::time_zone loaded_zone(const std::string& name);

} // namespace veranda::logic
