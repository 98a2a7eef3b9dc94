#include "adapters/secrets/secret_keys.hpp"

#include "adapters/secrets/proxy_url.hpp"

#include <algorithm>
#include <array>

namespace veranda::secrets {
namespace {

constexpr const char* basic_type = "kubernetes.io/basic-auth";
constexpr const char* opaque_type = "Opaque";
constexpr const char* tls_type = "kubernetes.io/tls";
constexpr const char* ssh_type = "kubernetes.io/ssh-auth";
constexpr std::size_t longest_value = 16U << 10U; ///< more than any server takes in a header

constexpr const char* authority_key = "ca.crt";
constexpr const char* known_hosts_key = "known_hosts";
constexpr std::size_t most_known_hosts = 256U << 10U;
constexpr std::array<const char*, 3> ssh_ones{"ssh-privatekey", "identity", "sshPrivateKey"}; ///< as Kubernetes, Flux and Argo CD call it
constexpr std::array<std::string_view, 13> read_ones{"username", "password", "bearerToken", authority_key, "tls.crt", "tls.key", "proxy", "proxyUsername", "proxyPassword",
                                                     known_hosts_key, ssh_ones[0], ssh_ones[1], ssh_ones[2]};

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
bool has(const source::secret_bytes& bytes, const char* key) { return bytes.data.contains(key); }

/// The value of a key that must be there, fit for a header line.
result<std::string> required(const object_key& secret, const source::secret_bytes& bytes, const char* key) {
  const auto field = std::string{"data."} + key;
  const auto it = bytes.data.find(key);
  if (it == bytes.data.end())
    return refused(secret, "of type " + bytes.type + " must have the key " + key, field);
  std::string value = it->second;
  while (value.ends_with('\n') || value.ends_with('\r'))
    value.pop_back();
  if (value.empty())
    return refused(secret, "must not be empty", field);
  if (value.size() > longest_value)
    return refused(secret, "must not be longer than 16 KiB", field);
  if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
    return refused(secret, "must not hold control characters", field);
  return value;
}

/// A user and its password, both or an error.
result<void> read_pair(const object_key& secret, const source::secret_bytes& bytes, const char* user_key, const char* password_key, std::string& user, std::string& password) {
  auto username = required(secret, bytes, user_key);
  if (!username)
    return username.error();
  auto its_password = required(secret, bytes, password_key);
  if (!its_password)
    return its_password.error();
  if (holds(*username, ":"))
    return refused(secret, "must not hold a colon", std::string{"data."} + user_key);
  user = *std::move(username);
  password = *std::move(its_password);
  return {};
}

result<void> read_client_certificate(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const auto certificate = bytes.data.find("tls.crt");
  const auto key = bytes.data.find("tls.key");
  if (certificate == bytes.data.end() && key == bytes.data.end())
    return {};
  if (certificate == bytes.data.end())
    return refused(secret, "must be there when tls.key is", "data.tls.crt");
  if (key == bytes.data.end())
    return refused(secret, "must be there when tls.crt is", "data.tls.key");
  if (!holds(certificate->second, "-----BEGIN CERTIFICATE-----"))
    return refused(secret, "must be a certificate in PEM", "data.tls.crt");
  if (holds(key->second, "ENCRYPTED"))
    return refused(secret, "must not be encrypted", "data.tls.key");
  if (!holds(key->second, "PRIVATE KEY-----"))
    return refused(secret, "must be a private key in PEM", "data.tls.key");
  out.client_certificate_pem = certificate->second;
  out.client_key_pem = key->second;
  return {};
}

result<void> read_proxy(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const bool has_user = has(bytes, "proxyUsername") || has(bytes, "proxyPassword");
  if (!has(bytes, "proxy"))
    return has_user ? result<void>{refused(secret, "must be there when proxyUsername or proxyPassword is", "data.proxy")} : result<void>{};
  const auto text = required(secret, bytes, "proxy");
  if (!text)
    return text.error();
  if (holds(*text, "@"))
    return refused(secret, "must not hold a user; put it into proxyUsername and proxyPassword", "data.proxy");
  auto url = parse_proxy_url(*text);
  if (!url)
    return refused(secret, "must be a URL such as http://proxy.example.org:3128, of scheme http, https, socks5 or socks5h, with a port", "data.proxy");
  out.proxy.url = *std::move(url);
  return has_user ? read_pair(secret, bytes, "proxyUsername", "proxyPassword", out.proxy.username, out.proxy.password) : result<void>{};
}

/// Lines as ssh wants them: line feeds only, one at the end.
std::string lines_of(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c != '\r')
      out += c;
  out.resize(out.find_last_not_of(" \t\n") + 1); // npos + 1 is 0
  return out + "\n";
}

/// Whether a private key needs a passphrase: the old form says so in words, OpenSSH's own names a cipher behind its magic.
bool is_encrypted(const std::string& pem) {
  constexpr std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  constexpr std::string_view magic = "b3BlbnNzaC1rZXktdjEA"; // "openssh-key-v1\0"
  constexpr std::string_view none = "AAAABG5v";              // a name of four bytes that begins with "no"
  const auto at = pem.find(begin);
  if (at == std::string::npos)
    return holds(pem, "ENCRYPTED");
  const auto body = std::string_view{pem}.substr(at + begin.size());
  return body.starts_with(magic) && !body.substr(magic.size()).starts_with(none);
}

bool has_ssh_key(const source::secret_bytes& bytes) {
  return std::any_of(ssh_ones.begin(), ssh_ones.end(), [&](const char* key) { return has(bytes, key); });
}

/// An ssh key and the hosts that may be met with it.
result<void> read_ssh(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const auto key = std::find_if(ssh_ones.begin(), ssh_ones.end(), [&](const char* name) { return has(bytes, name); });
  if (key == ssh_ones.end())
    return refused(secret, std::string{"of type "} + ssh_type + " must have the key " + ssh_ones[0], std::string{"data."} + ssh_ones[0]);
  const auto field = std::string{"data."} + *key;
  auto pem = lines_of(bytes.data.at(*key));
  if (pem.size() > longest_value)
    return refused(secret, "must not be longer than 16 KiB", field);
  if (!holds(pem, "-----BEGIN ") || !holds(pem, "PRIVATE KEY-----"))
    return refused(secret, "must be a private key as ssh-keygen writes it", field);
  if (is_encrypted(pem))
    return refused(secret, "must have no passphrase, for nobody is there to type it; take it away with ssh-keygen -p", field);
  const auto hosts = bytes.data.find(known_hosts_key);
  if (hosts == bytes.data.end()) {
    out.ssh_private_key = std::move(pem);
    return {};
  }
  auto lines = lines_of(hosts->second);
  const auto known = std::string{"data."} + known_hosts_key;
  if (lines.size() > most_known_hosts)
    return refused(secret, "must not be longer than 256 KiB", known);
  if (lines == "\n")
    return refused(secret, "must not be empty", known);
  if (lines.find('\0') != std::string::npos || holds(lines, "PRIVATE KEY-----"))
    return refused(secret, "must be lines as ssh-keyscan writes them", known);
  out.ssh_private_key = std::move(pem); // never without the hosts it is for
  out.ssh_known_hosts = std::move(lines);
  return {};
}

/// Whoever asks over http, by what is there.
result<void> read_identity(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const bool has_user = has(bytes, "username") || has(bytes, "password");
  if (bytes.type == basic_type || (has_user && !has(bytes, "bearerToken")))
    return read_pair(secret, bytes, "username", "password", out.username, out.password);
  const bool enough = !out.client_certificate_pem.empty() || !out.proxy.url.empty() || !out.ssh_private_key.empty() || has(bytes, authority_key);
  if (!has(bytes, "bearerToken") && enough)
    return {};
  if (!has(bytes, "bearerToken"))
    return refused(secret, "must have the keys of one of: bearerToken; username and password; tls.crt and tls.key; ssh-privatekey; proxy; ca.crt", "data");
  auto token = required(secret, bytes, "bearerToken");
  if (!token)
    return token.error();
  out.bearer_token = *std::move(token);
  return {};
}

} // namespace

failure refused(const object_key& secret, std::string what, std::string field) {
  return {ec::auth_rejected, std::move(what), "Secret " + to_string(secret), std::move(field), std::nullopt};
}

bool is_read(std::string_view key) { return std::find(read_ones.begin(), read_ones.end(), key) != read_ones.end(); }
result<void> read_keys(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const bool needs_no_key = has(bytes, "bearerToken") || has(bytes, "username");
  if (bytes.type == ssh_type || has_ssh_key(bytes))
    if (auto done = read_ssh(secret, bytes, out); !done && (bytes.type == ssh_type || !needs_no_key))
      return done;
  if (bytes.type != basic_type && bytes.type != opaque_type && bytes.type != tls_type && bytes.type != ssh_type)
    return refused(secret, std::string{"must be "} + basic_type + ", " + tls_type + ", " + ssh_type + " or " + opaque_type, "type");
  if (bytes.type == tls_type && !has(bytes, "tls.crt"))
    return refused(secret, std::string{"of type "} + tls_type + " must have the key tls.crt", "data.tls.crt");
  if (auto done = read_client_certificate(secret, bytes, out); !done)
    return done;
  if (auto done = read_proxy(secret, bytes, out); !done)
    return done;
  return read_identity(secret, bytes, out);
}

} // namespace veranda::secrets
