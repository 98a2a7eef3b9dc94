#include "adapters/secrets/manifest_secrets.hpp"

#include "adapters/source/file_reader.hpp"
#include "adapters/source/manifest_file.hpp"

#include <algorithm>
#include <fcntl.h>
#include <string_view>

namespace veranda::secrets {
namespace {

constexpr const char* hosts_annotation = "veranda.dev/hosts";
constexpr const char* basic_type = "kubernetes.io/basic-auth";
constexpr const char* opaque_type = "Opaque";
constexpr const char* ca_key = "ca.crt";
constexpr std::int64_t settling_ns = 1'000'000'000;

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

/// Takes `ca.crt` when the Secret has one.
result<void> read_ca(const object_key& secret, const source::secret_bytes& bytes, credentials& out) {
  const auto it = bytes.data.find(ca_key);
  if (it == bytes.data.end())
    return {};
  if (it->second.find("-----BEGIN CERTIFICATE-----") == std::string::npos && it->second.find("-----BEGIN TRUSTED CERTIFICATE-----") == std::string::npos)
    return refused(secret, "must be certificates in PEM", std::string{"data."} + ca_key);
  out.ca_bundle_pem = it->second;
  return {};
}

class manifest_secrets final : public secret_source {
public:
  manifest_secrets(manifest_secret_settings settings, std::shared_ptr<const secret_files> files) : settings_(std::move(settings)), files_(std::move(files)) {}

  result<credentials> resolve(const std::string& ns, const std::string& name, const std::string& host) override {
    credentials out;
    if (!name.empty())
      if (auto done = add_credentials({ns, name}, host, out); !done)
        return done.error();
    if (out.ca_bundle_pem.empty())
      if (auto done = add_namespace_ca({ns, ns + "-ca-bundle"}, out); !done)
        return done.error();
    return out;
  }

private:
  /// A Secret as it was parsed from a file in that state.
  struct parsed {
    std::string file;
    source::file_signature signature;
    source::secret_bytes bytes;
  };

  result<source::secret_bytes> read(const object_key& secret) {
    const auto file = files_->find(secret);
    if (!file) {
      forget(secret);
      return failure{ec::dependency_missing, "is not in the manifest directory", "Secret " + to_string(secret), {}, std::nullopt};
    }
    const auto signature = signature_of(*file); // taken before the bytes: they can only be newer than it says
    if (signature) {
      const std::lock_guard lock{mutex_};
      const auto at = parsed_.find(secret);
      if (at != parsed_.end() && at->second.file == *file && at->second.signature == *signature)
        return at->second.bytes;
    }
    auto bytes = settings_.read(settings_.directory, *file, secret, settings_.limits);
    if (!bytes || !signature || !settled(*signature)) {
      forget(secret);
      return bytes;
    }
    const std::lock_guard lock{mutex_};
    parsed_.insert_or_assign(secret, parsed{*file, *signature, *bytes});
    return bytes;
  }

  void forget(const object_key& secret) {
    const std::lock_guard lock{mutex_};
    parsed_.erase(secret);
  }

  [[nodiscard]] std::optional<source::file_signature> signature_of(const std::string& file) const {
    const source::descriptor directory{::open(settings_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    auto found = source::stat_file(directory.get(), file);
    return found ? std::optional{*found} : std::nullopt;
  }

  /// A file written again within the granularity of its times looks unchanged, so young ones are not remembered.
  [[nodiscard]] bool settled(const source::file_signature& signature) const {
    const auto now = std::chrono::duration_cast<std::chrono::nanoseconds>(settings_.now().time_since_epoch()).count();
    return now - signature.changed_ns > settling_ns;
  }

  result<void> add_credentials(const object_key& secret, const std::string& host, credentials& out) {
    const auto bytes = read(secret);
    if (!bytes)
      return bytes.error();
    const auto hosts = bytes->annotations.find(hosts_annotation);
    if (hosts != bytes->annotations.end() && !host_allowed(hosts->second, host))
      return refused(secret, "must not be sent to " + host + ", which its annotation veranda.dev/hosts does not name", "metadata.annotations");
    if (auto done = read_keys(secret, *bytes, out); !done)
      return done;
    return read_ca(secret, *bytes, out);
  }

  /// The namespace need not have one.
  result<void> add_namespace_ca(const object_key& secret, credentials& out) {
    const auto bytes = read(secret);
    if (!bytes)
      return bytes.error().code == ec::dependency_missing ? result<void>{} : bytes.error();
    return read_ca(secret, *bytes, out);
  }

  manifest_secret_settings settings_;
  std::shared_ptr<const secret_files> files_;
  std::mutex mutex_;
  std::map<object_key, parsed> parsed_;
};

} // namespace

void secret_files::update(const source::manifest_state& state) {
  std::map<object_key, std::string> next;
  for (const auto& object : state.objects)
    if (object.resource == source::secrets_resource)
      next.emplace(object.key, object.file);
  const std::lock_guard lock{mutex_};
  files_.swap(next);
}

std::optional<std::string> secret_files::find(const object_key& secret) const {
  const std::lock_guard lock{mutex_};
  const auto it = files_.find(secret);
  return it == files_.end() ? std::nullopt : std::optional{it->second};
}

std::unique_ptr<secret_source> open_manifest_secrets(manifest_secret_settings settings, std::shared_ptr<const secret_files> files) {
  return std::make_unique<manifest_secrets>(std::move(settings), std::move(files));
}

} // namespace veranda::secrets
