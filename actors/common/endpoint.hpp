#pragma once

#include "adapters/secrets/secret_source.hpp"
#include "messages/local.hpp"

namespace veranda {

/// Host of a canonical URL, empty for a local path.
std::string host_of(std::string_view url);

/// Scheme, host and port of a canonical URL: the server that its requests go to. Empty for a local path.
std::string origin_of(std::string_view url);

/// The credentials of a remote, resolved now. Blocks as the source does: for actors with their own thread.
result<remote_endpoint> resolve_endpoint(secrets::secret_source& secrets, const remote_identity& remote);

} // namespace veranda
