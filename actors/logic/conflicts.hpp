#pragma once

#include "messages/model/repository.hpp"

#include <map>
#include <vector>

namespace veranda::logic {

/// At most this many conflicting objects are named per object: what a tenant can multiply must not grow with its square.
inline constexpr std::size_t max_listed_conflicts = 25;

/// URL as conflicts are judged by: `://` as `---`, `:` and `/` as `-`.
[[nodiscard]] std::string normalised_url(std::string_view url);

/// Which Repository objects conflict with which; Porch's webhook refuses the second of them. Two different git objects with the same normalised URL and branch conflict when
/// they are in one namespace and name the same directory, or, in any namespaces, when the directory of one lies inside the other's (everything lies
/// inside the root). Objects with problems and objects being deleted do not count. Only objects with conflicts are in the answer; others sorted.
[[nodiscard]] std::map<object_key, std::vector<object_key>> find_conflicts(const std::vector<repository_object>& objects);

} // namespace veranda::logic
