#pragma once

#include "adapters/kube/client_config.hpp"
#include "messages/model/time.hpp"

#include <string_view>

namespace veranda::kube {

/// What a credential plugin printed.
struct exec_credential {
  std::string token;
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::optional<wall_time> expires;
};

/// `KUBERNETES_EXEC_INFO` for a plugin: its API version, and the cluster when it asked for it. `ca_pem` is the CA bundle as read. Pure.
std::string exec_info(const exec_plugin& plugin, const cluster_config& cluster, std::string_view ca_pem);

/// Reads the `ExecCredential` that a plugin printed. `auth_rejected` when it is none, is of another version, or holds no credentials; the text is never quoted. Pure.
result<exec_credential> parse_exec_credential(const exec_plugin& plugin, std::string_view output);

/// RFC 4648 base64 with padding.
std::string encode_base64(std::string_view bytes);

} // namespace veranda::kube
