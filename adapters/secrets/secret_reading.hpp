#pragma once

#include "adapters/secrets/secret_source.hpp"
#include "adapters/source/manifest_directory.hpp"

#include "messages/model/credentials.hpp"
#include "messages/model/object.hpp"

namespace veranda::secrets {

// What a Secret says, wherever it came from (docs/operations.md, Credentials). Pure; failures are `auth_rejected` and name the Secret and the field, never a value.

/// Adds what `read_keys` takes, and `ca.crt` when it is there. Refused when `veranda.dev/hosts` does not name `host`.
result<void> read_credentials(const object_key& secret, const source::secret_bytes& bytes, const std::string& host, credentials& out);
/// Takes `ca.crt` when the Secret has one.
result<void> read_ca_bundle(const object_key& secret, const source::secret_bytes& bytes, credentials& out);
/// Drops what neither of them reads.
void keep_what_is_used(source::secret_bytes& bytes);

} // namespace veranda::secrets
