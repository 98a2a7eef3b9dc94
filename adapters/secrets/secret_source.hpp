#pragma once

#include "messages/model/credentials.hpp"
#include "messages/model/failure.hpp"
#include "messages/model/object.hpp"

namespace veranda::secrets {

/// The Secret with the CA bundle of a namespace.
[[nodiscard]] inline object_key ca_bundle_secret(const std::string& ns) { return {ns, ns + "-ca-bundle"}; }

/// Resolves a Secret of the Repository's own namespace by reference (docs/operations.md, Credentials): `kubernetes.io/basic-auth` with `username` and
/// `password`, `kubernetes.io/ssh-auth` with `ssh-privatekey`, or `Opaque` with `bearerToken`; optionally `ca.crt` in it, or the namespace's `<namespace>-ca-bundle`
/// Secret.
/// Blocks on disk (standalone) or on nothing but memory (Kubernetes: what the secret keeper fetched). Thread safe. Failures: `dependency_missing` (no such Secret yet), `auth_rejected` (type or keys wrong, naming them), `unavailable`.
class secret_source {
public:
  virtual ~secret_source() = default;
  /// `name` empty: anonymous, but with the namespace's CA bundle. `host` is checked against the Secret's `veranda.dev/hosts`.
  virtual result<credentials> resolve(const std::string& ns, const std::string& name, const std::string& host) = 0;
};

} // namespace veranda::secrets
