#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace veranda::api {

enum class resource_id : std::uint8_t { repositories, package_revisions, package_revision_resources, packages };

/// One kind that the API serves. All are namespaced and of version `v1alpha1`.
struct kind_info {
  resource_id id = resource_id::repositories;
  std::string_view group;
  std::string_view plural;
  std::string_view singular;
  std::string_view kind;
  std::vector<std::string_view> short_names;
  std::vector<std::string_view> selectable_fields; ///< besides metadata.name and metadata.namespace
  bool writable = false;

  [[nodiscard]] std::string api_version() const;
  /// `repositories.config.porch.kpt.dev`: the name in the object store and in error texts.
  [[nodiscard]] std::string resource() const;
  [[nodiscard]] std::string list_kind() const { return std::string{kind} + "List"; }
};

[[nodiscard]] const std::array<kind_info, 4>& all_kinds();
/// Null when there is no such resource.
[[nodiscard]] const kind_info* find_kind(std::string_view group, std::string_view plural);
[[nodiscard]] bool is_served_group(std::string_view group);

} // namespace veranda::api
