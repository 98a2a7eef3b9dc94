#pragma once

#include "adapters/store/package_cache.hpp"

#include <string>

namespace veranda::codec {

/// `porch.kpt.dev/v1alpha1` PackageRevision as one JSON object, its fields called as Porch calls them.
std::string encode_package_revision(const store::cached_revision& r);
/// `porch.kpt.dev/v1alpha1` PackageRevisionResources. Files that are not valid UTF-8, hold NUL or were too large to keep cannot be text in JSON: they
/// are named in annotation `veranda.dev/binary-resources` (`path (bytes)`, comma separated), never dropped silently.
std::string encode_package_revision_resources(const store::cached_revision& r, const std::vector<std::pair<package_file, std::string>>& files);
/// `porch.kpt.dev/v1alpha1` Package of a repository: name as for revisions without workspace; `latest_revision` 0 when there is none.
std::string encode_package(const object_key& repository, const std::string& package_name, std::int64_t latest_revision, const std::string& resource_version);
/// Object name of a Package (4.6).
std::string package_object_name(const std::string& repository, const std::string& package_name);

} // namespace veranda::codec
