#include "adapters/secrets/manifest_secrets.hpp"

#include "adapters/process/descriptor.hpp"
#include "adapters/secrets/secret_reading.hpp"
#include "adapters/source/file_reader.hpp"
#include "adapters/source/manifest_file.hpp"

#include <fcntl.h>

namespace veranda::secrets {
namespace {

constexpr std::int64_t settling_ns = 1'000'000'000;

class manifest_secrets final : public secret_source {
public:
  manifest_secrets(manifest_secret_settings settings, std::shared_ptr<const secret_files> files) : settings_(std::move(settings)), files_(std::move(files)) {}

  result<credentials> resolve(const std::string& ns, const std::string& name, const std::string& host) override {
    credentials out;
    if (!name.empty())
      if (auto done = add_credentials({ns, name}, host, out); !done)
        return done.error();
    if (out.ca_bundle_pem.empty())
      if (auto done = add_namespace_ca(ca_bundle_secret(ns), out); !done)
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
    const process::descriptor directory{::open(settings_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
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
    return bytes ? read_credentials(secret, *bytes, host, out) : bytes.error();
  }

  /// The namespace need not have one.
  result<void> add_namespace_ca(const object_key& secret, credentials& out) {
    const auto bytes = read(secret);
    if (!bytes)
      return bytes.error().code == ec::dependency_missing ? result<void>{} : bytes.error();
    return read_ca_bundle(secret, *bytes, out);
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
