#include "adapters/secrets/secret_reading.hpp"

#include "adapters/secrets/secret_keys.hpp"

#include <algorithm>
#include <string_view>

namespace veranda::secrets {
namespace {

constexpr const char* hosts_annotation = "veranda.dev/hosts";
constexpr const char* ca_key = "ca.crt";

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

} // namespace

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
  std::erase_if(bytes.data, [](const auto& entry) { return !is_read(entry.first); });
  std::erase_if(bytes.annotations, [](const auto& entry) { return entry.first != hosts_annotation; });
}

} // namespace veranda::secrets
