#pragma once

#include "adapters/source/manifest_directory.hpp"

#include "messages/model/credentials.hpp"
#include "messages/model/object.hpp"

namespace veranda::secrets {

// Keys of a Secret that say how connections are made, whatever else is in it. Pure; failures are `auth_rejected` and name the Secret and the field, never a value.

/// Takes `tls.crt` and `tls.key` when both are there. One without the other, what is not PEM, and an encrypted key are refused.
result<void> read_client_certificate(const object_key& secret, const source::secret_bytes& bytes, credentials& out);
/// Takes `proxy`, and `proxyUsername` with `proxyPassword`, when they are there. The proxy is a URL of scheme http, https, socks5 or socks5h with host and
/// port, without userinfo.
result<void> read_proxy(const object_key& secret, const source::secret_bytes& bytes, credentials& out);

} // namespace veranda::secrets
