#include "actors/common/endpoint.hpp"

namespace veranda {

std::string host_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || url.substr(0, scheme) == "file")
    return {};
  auto authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find('/'));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos)
    authority.remove_prefix(at + 1);
  if (!authority.empty() && authority.front() == '[')
    return std::string{authority.substr(0, authority.find(']') + 1)};
  return std::string{authority.substr(0, authority.find(':'))};
}

std::string origin_of(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || url.substr(0, scheme) == "file")
    return {};
  auto authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find('/'));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos)
    authority.remove_prefix(at + 1);
  return std::string{url.substr(0, scheme + 3)} + std::string{authority};
}

result<remote_endpoint> resolve_endpoint(secrets::secret_source& secrets, const remote_identity& remote) {
  remote_endpoint endpoint{remote.url, {}};
  if (remote.ns.empty())
    return endpoint;
  auto resolved = secrets.resolve(remote.ns, remote.secret, host_of(remote.url));
  if (!resolved)
    return resolved.error();
  endpoint.auth = *std::move(resolved);
  return endpoint;
}

} // namespace veranda
