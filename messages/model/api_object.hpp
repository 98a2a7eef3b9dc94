#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/object.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace veranda {

/// One object as an API server gave it. `resource_version` is opaque: it is compared for equality and handed back, nothing else.
struct api_object {
  object_key key; ///< without a name: it has none that can be used
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  std::string json; ///< the whole object; empty when only its identity is known
  std::optional<failure> problem; ///< why it cannot be used, though it is there
  bool operator==(const api_object&) const = default;
};

/// One page of a list.
struct api_list_page {
  std::string resource_version;
  std::string continue_token; ///< empty on the last page
  std::vector<api_object> items;
};

enum class api_event_type : std::uint8_t { added, modified, deleted, bookmark, error };

/// One event of a watch stream.
struct api_event {
  api_event_type type = api_event_type::bookmark;
  api_object object; ///< of a bookmark only `resource_version` is set, of an error nothing
  std::optional<failure> why; ///< of an error; `stale`: the position is too old
  bool operator==(const api_event&) const = default;
};

} // namespace veranda
