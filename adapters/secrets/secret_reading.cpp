#include "adapters/secrets/secret_reading.hpp"

#include <algorithm>
#include <string_view>

namespace veranda::secrets {
namespace {

constexpr const char* hosts_annotation = "veranda.dev/hosts";
constexpr const char* basic_type = "kubernetes.io/basic-auth";
constexpr const char* opaque_type = "Opaque";
constexpr const char* ca_key = "ca.crt";
constexpr std::size_t longest_value = 16U << 10U; ///< more than any server takes in a header

failure refused(const object_key& secret, std::string what, std::string field = {}) {
  return {ec::auth_rejected, std::move(what), "Secret " + to_string(secret), std::move(field), std::nullopt};
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? std::string_view{} : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// `host:port` and `[::1]:port` without the port; an IPv6 address without brackets as it is.
std::string without_port(const std::string& host) {
  const auto colon = host.rfind(':');
  if (colon == std::string::npos || host.ends_with(']'))
    return host;
  const bool bracketed = colon > 0 && host[colon - 1] == ']';
  return bracketed || host.find(':') == colon ? host.substr(0, colon) : host;
}

bool host_allowed(std::string_view hosts, const std::string& host) {
  const std::string wanted = lower(host);
  for (;;) {
    const auto comma = hosts.find(',');
    const std::string entry = lower(std::string{trim(hosts.substr(0, comma))});
    if (!entry.empty() && (entry == wanted || entry == without_port(wanted)))
      return true;
    if (comma == std::string_view::npos)
      return false;
    hosts.remove_prefix(comma + 1);
  }
}

/// The value of a key that must be there, fit for a header line.
result<std::string> required(const object_key& secret, const source::secret_bytes& bytes, const char* key) {
  const auto it = bytes.data.find(key);
  if (it == bytes.data.end())
    return refused(secret, "of type " + bytes.type + " must have the key " + key, std::string{"data."} + key);
  std::string value = it->second;
  while (value.ends_with('\n') || value.ends_with('\r'))
    value.pop_back();
  if (value.empty())
    return refused(secret, "must not be empty", std::string{"data."} + key);
  if (value.size() > longest_value)
    return refused(secret, "must not be longer than 16 KiB", std::string{"data."} + key);
  if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return refused(secret, "must not hold control characters", std::string{"data."} + key);
  return value;
}

result<void> read_basic(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  auto username = required(secret, bytes, "username");
  if (!username)
    return username.error();
  auto password = required(secret, bytes, "password");
  if (!password)
    return password.error();
  if (username->find(':') != std::string::npos)
    return refused(secret, "must not hold a colon", "data.username");
  out.username = *std::move(username);
  out.password = *std::move(password);
  return {};
}

result<void> read_keys(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  if (bytes.type == basic_type)
    return read_basic(secret, bytes, out);
  if (bytes.type != opaque_type)
    return refused(secret, std::string{"must be "} + basic_type + " or " + opaque_type, "type");
  auto token = required(secret, bytes, "bearerToken");
  if (!token)
    return token.error();
  out.bearer_token = *std::move(token);
  return {};
}

} // namespace

object_key ca_bundle_secret(const std::string& ns) { return {ns, ns + "-ca-bundle"}; }

result<void> read_ca_bundle(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const auto it = bytes.data.find(ca_key);
  if (it == bytes.data.end())
    return {};
  if (it->second.find("-----BEGIN CERTIFICATE-----") == std::string::npos && it->second.find("-----BEGIN TRUSTED CERTIFICATE-----") == std::string::npos)
    return refused(secret, "must be certificates in PEM", std::string{"data."} + ca_key);
  out.ca_bundle_pem = it->second;
  return {};
}

result<void> read_credentials(const object_key& secret, const source::secret_bytes& bytes, const std::string& host, credentials& out) {
  const auto hosts = bytes.annotations.find(hosts_annotation);
  if (hosts != bytes.annotations.end() && !host_allowed(hosts->second, host))
    return refused(secret, "must not be sent to " + host + ", which its annotation veranda.dev/hosts does not name", "metadata.annotations");
  if (auto done = read_keys(secret, bytes, out); !done)
    return done;
  return read_ca_bundle(secret, bytes, out);
}

void keep_what_is_used(source::secret_bytes& bytes) {
  std::erase_if(bytes.data, [](const auto& entry) {
    return entry.first != ca_key && entry.first != "username" && entry.first != "password" && entry.first != "bearerToken";
  });
  std::erase_if(bytes.annotations, [](const auto& entry) { return entry.first != hosts_annotation; });
}

} // namespace veranda::secrets
