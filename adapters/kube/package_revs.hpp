#pragma once

#include "actors/logic/package_rev_machine.hpp"
#include "adapters/kube/api_request.hpp"
#include "adapters/store/package_mirror_reader.hpp"
#include "messages/model/api_object.hpp"

#include <map>
#include <optional>
#include <vector>

namespace veranda::kube {

/// `packagerevs.config.porch.kpt.dev/v1alpha1`.
[[nodiscard]] const resource_type& package_revs();

inline constexpr std::string_view package_rev_repository_label = "internal.porch.kpt.dev/repository";
inline constexpr std::string_view package_rev_finalizer = "internal.porch.kpt.dev/packagerevision";

/// What the label says of a repository: its name, or, where that is longer than a label may be (63), its beginning and a digest of all of it.
[[nodiscard]] std::string package_rev_label(const std::string& repository);
/// By what its objects are known to belong together: namespace and label.
[[nodiscard]] object_key package_rev_group(const object_key& repository);

/// Whose end is the end of a PackageRev object.
enum class package_rev_owner : std::uint8_t {
  repository,       ///< the Repository object
  package_revision, ///< as Porch has it: the PackageRevision of the aggregated API, which must be served
};

/// All that Veranda says of a package revision in its object. What others say there is kept.
struct package_rev_part {
  std::string label; ///< of the repository
  std::map<std::string, std::string> annotations;
  std::string owner; ///< the owner reference, JSON
};

/// Follows from the content alone: a commit that leaves a package as it is leaves its part as it is. Pure, as everything here.
[[nodiscard]] package_rev_part part_of(const store::owned_revision& revision, package_rev_owner owner);
[[nodiscard]] logic::part_digest digest_of(const package_rev_part& part);

/// Names in what others have put into an object (`package_rev_view::foreign`): their finalizers.
[[nodiscard]] std::vector<std::string> foreign_finalizers(const std::string& foreign);
/// What matters of an object as the API server gave it.
[[nodiscard]] logic::package_rev_view view_of(const api_object& object);

// Requests that carry out an order. Each but a create holds for just the object, and each patch for just the version, that the order is about.

[[nodiscard]] api_request create_package_rev(const object_key& key, const package_rev_part& part);
[[nodiscard]] api_request patch_package_rev(const logic::package_rev_order& order, const package_rev_part& part);
/// Takes our finalizer off.
[[nodiscard]] api_request release_package_rev(const logic::package_rev_order& order);
[[nodiscard]] api_request remove_package_rev(const logic::package_rev_order& order);

} // namespace veranda::kube
