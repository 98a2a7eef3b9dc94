#include "adapters/api/kinds.hpp"

#include "messages/model/repository.hpp"

#include <algorithm>

namespace veranda::api {

std::string kind_info::api_version() const { return std::string{group} + "/" + std::string{api_names::version}; }

std::string kind_info::resource() const { return std::string{plural} + "." + std::string{group}; }

const std::array<kind_info, 4>& all_kinds() {
  static const std::array<kind_info, 4> kinds{{
      {resource_id::repositories, api_names::config_group, "repositories", "repository", "Repository", {"repo", "repos"}, {}, true},
      {resource_id::package_revisions,
       api_names::porch_group,
       "packagerevisions",
       "packagerevision",
       "PackageRevision",
       {"pr", "rpkg"},
       {"spec.repository", "spec.packageName", "spec.workspaceName", "spec.revision", "spec.lifecycle"},
       false},
      {resource_id::package_revision_resources,
       api_names::porch_group,
       "packagerevisionresources",
       "packagerevisionresources",
       "PackageRevisionResources",
       {},
       {"spec.repository", "spec.packageName", "spec.workspaceName", "spec.revision", "spec.lifecycle"},
       false},
      {resource_id::packages,
       api_names::porch_group,
       "packages",
       "package",
       "Package",
       {"pkg"},
       {"spec.repository", "spec.packageName"},
       false},
  }};
  return kinds;
}

const kind_info* find_kind(std::string_view group, std::string_view plural) {
  const auto& kinds = all_kinds();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [&](const kind_info& k) { return k.group == group && k.plural == plural; });
  return found == kinds.end() ? nullptr : &*found;
}

bool is_served_group(std::string_view group) { return group == api_names::config_group || group == api_names::porch_group; }

} // namespace veranda::api
