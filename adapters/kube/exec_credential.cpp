#include "adapters/kube/exec_credential.hpp"

#include <nlohmann/json.hpp>

namespace veranda::kube {

namespace {

using nlohmann::json;

failure bad_output(const exec_plugin& plugin, std::string what, std::string field = {}) {
  return {ec::auth_rejected, "the credential plugin's output " + std::move(what), plugin.command, std::move(field), {}};
}

} // namespace

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto three = bytes.substr(at, 3);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8U | (i < three.size() ? static_cast<unsigned char>(three[i]) : 0U);
    for (std::size_t i = 0; i < 4; ++i) out += i <= three.size() ? digits[group >> (18U - 6U * i) & 0x3FU] : '=';
  }
  return out;
}

std::string exec_info(const exec_plugin& plugin, const cluster_config& cluster, std::string_view ca_pem) {
  json spec{{"interactive", false}};
  if (plugin.provide_cluster_info) {
    json about{{"server", cluster.server.text()}, {"config", nullptr}};
    if (!cluster.tls_server_name.empty()) about["tls-server-name"] = cluster.tls_server_name;
    if (cluster.insecure_skip_verify) about["insecure-skip-tls-verify"] = true;
    if (!ca_pem.empty()) about["certificate-authority-data"] = encode_base64(ca_pem);
    if (!cluster.proxy_url.empty()) about["proxy-url"] = cluster.proxy_url;
    spec["cluster"] = std::move(about);
  }
  return json{{"kind", "ExecCredential"}, {"apiVersion", plugin.api_version}, {"spec", std::move(spec)}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<exec_credential> parse_exec_credential(const exec_plugin& plugin, std::string_view output) {
  const auto parsed = json::parse(output, nullptr, false);
  if (!parsed.is_object()) return bad_output(plugin, "is not a JSON object");
  const auto text = [](const json& from, const char* name) {
    const auto found = from.find(name);
    return found != from.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  if (text(parsed, "kind") != "ExecCredential") return bad_output(plugin, "is not an ExecCredential", "kind");
  if (text(parsed, "apiVersion") != plugin.api_version) return bad_output(plugin, "must be of " + plugin.api_version, "apiVersion");
  const auto status = parsed.find("status");
  if (status == parsed.end() || !status->is_object()) return bad_output(plugin, "holds no credentials", "status");
  exec_credential out{text(*status, "token"), text(*status, "clientCertificateData"), text(*status, "clientKeyData"), std::nullopt};
  if (out.client_certificate_pem.empty() != out.client_key_pem.empty())
    return bad_output(plugin, "must hold a client certificate and its key together", "status.clientKeyData");
  if (out.token.empty() && out.client_certificate_pem.empty()) return bad_output(plugin, "holds neither a token nor a client certificate", "status");
  if (const auto expires = text(*status, "expirationTimestamp"); !expires.empty()) {
    out.expires = parse_rfc3339(expires);
    if (!out.expires) return bad_output(plugin, "must be a time as in RFC 3339", "status.expirationTimestamp");
  }
  return out;
}

} // namespace veranda::kube
