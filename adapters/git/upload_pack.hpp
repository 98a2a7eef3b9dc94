#pragma once

#include "adapters/git/error_map.hpp"
#include "adapters/git/fetch_protocol.hpp"
#include "adapters/git/git_url.hpp"

namespace veranda::git {

/// The `upload-pack` service of one repository, one request at a time, without state between requests. Blocks; one thread.
class upload_pack {
public:
  virtual ~upload_pack() = default;
  /// Which protocol it speaks, once it met a request of v2 with `refusal`; that again, when this cannot help.
  virtual result<protocol_version> ask_protocol(const failure& refusal) = 0;
  /// One request; the whole answer goes to `sink`.
  virtual result<void> call(protocol_version protocol, const std::string& body, const byte_sink& sink) = 0;
  /// What error texts call this remote.
  [[nodiscard]] virtual const remote_label& label() const noexcept = 0;
};

/// Reads from the service's advertisement (v2 asked for) which protocol it speaks.
result<protocol_version> read_protocol(const std::function<result<void>(const byte_sink& sink)>& advertise, const transport_limits& limits);

/// `git upload-pack` as a child process per request.
std::unique_ptr<upload_pack> make_local_upload_pack(const git_url& url, const transport_limits& limits, const cancel_token& cancel);
/// Smart HTTP over a connection of its own. The arguments must outlive it.
std::unique_ptr<upload_pack> make_http_upload_pack(const remote_endpoint& remote, const git_url& url, const transport_limits& limits,
                                                   const cancel_token& cancel);

} // namespace veranda::git
