#pragma once

#include "messages/model/repository.hpp"

#include <string>

namespace veranda::codec {

/// Decodes the JSON of a Repository object (any apiVersion of config.porch.kpt.dev/v1alpha1). Strict: unknown fields of spec, wrong types, broken rules
/// (config/kubernetes/crd/repositories.yaml has them; any valid git branch name is a branch; `type: oci` decodes) are listed in `problems`, with everything readable still decoded.
/// Fails with `invalid_spec` only when it is not a Repository with a usable name at all.
result<repository_object> decode_repository(std::string_view json);

/// Decodes the `status` of a Repository object's JSON; empty status when there is none.
repository_status decode_status(std::string_view json);

/// JSON object of the status, Kubernetes field names: conditions, lastFullSyncTime, nextFullSyncTime, observedGeneration, observedRunOnceAt, packageCount,
/// gitCommitHash, and Veranda's nextSyncCause, lastHandledSyncRequest, fence, deletionPermit. Zero values are left out.
std::string encode_status(const repository_status& status);

/// Git's check-ref-format rule for a branch name.
bool valid_branch_name(std::string_view name);

} // namespace veranda::codec
