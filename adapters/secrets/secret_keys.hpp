#pragma once

#include "adapters/source/manifest_directory.hpp"

#include "messages/model/credentials.hpp"
#include "messages/model/object.hpp"

#include <string>
#include <string_view>

namespace veranda::secrets {

// The keys of a Secret, by its type. Pure; failures are `auth_rejected` and name the Secret and the field, never a value.

/// A Secret that cannot be used as it is.
[[nodiscard]] failure refused(const object_key& secret, std::string what, std::string field = {});

/// Takes who asks, and how: `username` with `password` (type `kubernetes.io/basic-auth`), `bearerToken`, or either of them (`Opaque`); a client certificate in
/// `tls.crt` and `tls.key` (type `kubernetes.io/tls`, or beside the others, or alone); a proxy in `proxy`, with `proxyUsername` and `proxyPassword` if it wants
/// them (beside the others, or alone); an ssh key in `ssh-privatekey` (type `kubernetes.io/ssh-auth`, or beside the others, or alone), `identity` or `sshPrivateKey`, with the lines
/// of `known_hosts`; or nobody, with `ca.crt` alone. A token counts more than a user. A value's trailing line ends are cut off: files and `echo` leave them.
result<void> read_keys(const object_key& secret, const source::secret_bytes& bytes, credentials& out);

/// Whether anything here reads the value of that key.
[[nodiscard]] bool is_read(std::string_view key);

} // namespace veranda::secrets
