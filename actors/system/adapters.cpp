#include "actors/system/adapters.hpp"

#include "actors/common/log.hpp"
#include "adapters/process/find_program.hpp"
#include "adapters/store/sqlite_object_store.hpp"
#include "adapters/store/sqlite_package_cache.hpp"

namespace veranda {

namespace {

wall_time wall_now() { return std::chrono::system_clock::now(); }

git::transport_limits limits_of(const config::settings& s, std::chrono::milliseconds total) {
  git::transport_limits limits;
  limits.connect_timeout = s.connect_timeout;
  limits.total_timeout = total;
  limits.max_pack_bytes = s.max_pack_bytes;
  limits.max_pack_objects = s.max_pack_objects;
  limits.max_object_memory = s.max_object_memory;
  limits.max_mirror_bytes = logic::most_of_one(s.mirror_max_bytes);
  limits.allow_plaintext_credentials = s.allow_plaintext_credentials;
  limits.allow_git_protocol = s.allow_git_protocol;
  limits.ssh_accept_unknown_hosts = s.ssh_accept_unknown_hosts;
  limits.ssh_client = process::find_program("ssh");
  limits.addresses = {s.allow_cidr, s.deny_cidr, s.kubernetes};
  return limits;
}

result<void> set_aside(const std::filesystem::path& file, const char* meaning) {
  auto moved = store::move_aside(file, wall_now());
  if (!moved)
    return moved.error();
  log::error("system", meaning, {{"file", moved->string()}});
  return {};
}

/// Opens a store; a file that is damaged is moved aside first, and the log says what that means.
template <class Open>
auto open_or_set_aside(const std::filesystem::path& file, Open open, const char* meaning) -> decltype(open(file)) {
  auto opened = open(file);
  if (opened || opened.error().code != ec::corrupt_cache)
    return opened;
  if (auto moved = set_aside(file, meaning); !moved)
    return moved.error();
  return open(file);
}

constexpr const char* cache_damaged = "the package cache was damaged and moved aside; it is rebuilt from the remotes";

/// Opens what objects come from and statuses go to, with the Secrets beside them.
result<void> open_objects(adapters& out, const config::settings& settings) {
  if (settings.kubernetes) {
    auto kube = kubernetes::open(settings);
    if (!kube)
      return kube.error();
    out.kube = std::move(*kube);
    out.secrets = out.kube->secrets();
    return {};
  }
  const auto digest_key = out.data->secret_digest_key();
  if (!digest_key)
    return digest_key.error();
  out.objects_file = settings.data_dir / "objects.db";
  const auto open = [](const std::filesystem::path& file) { return store::open_object_store(file, wall_now); };
  auto objects = open_or_set_aside(out.objects_file, open,
                                   "the object store was damaged and moved aside; objects of files come back, those made by the CLI are lost");
  if (!objects)
    return objects.error();
  out.objects = std::move(*objects);
  const source::manifest_limits limits;
  out.secrets = secrets::open_manifest_secrets({settings.manifests, limits}, out.secret_files);
  if (!settings.manifests.empty())
    out.manifests = source::open_manifest_directory(settings.manifests, limits, *digest_key);
  return {};
}

} // namespace

result<std::unique_ptr<store::object_store_reader>> adapters::read_objects() const {
  if (kube)
    return kube->open_reader();
  return store::open_object_store_reader(objects_file);
}
result<std::unique_ptr<store::package_cache_reader>> adapters::read_cache() const { return store::open_package_cache_reader(cache_file); }

void adapters::take_limits(const config::settings& settings) const {
  listing_limits.set(limits_of(settings, settings.listing_timeout));
  fetch_limits.set(limits_of(settings, settings.sync_deadline));
}

result<void> adapters::set_cache_aside() const { return set_aside(cache_file, cache_damaged); }

result<std::unique_ptr<store::package_cache>> adapters::open_cache() const {
  const auto open = [this](const std::filesystem::path& file) {
    return store::open_package_cache(file, wall_now, store::feed_entries_kept, max_resource_bytes);
  };
  return open_or_set_aside(cache_file, open, cache_damaged);
}

result<adapters> open_adapters(const config::settings& settings) {
  adapters out;
  auto data = store::data_dir_lock::acquire(settings.data_dir);
  if (!data)
    return data.error();
  out.data = std::move(*data);
  auto token = settings.token_file.empty() ? out.data->api_token() : store::ensure_secret_file(settings.token_file);
  if (!token)
    return token.error();
  out.token = std::move(*token);
  if (auto opened = open_objects(out, settings); !opened)
    return opened.error();
  out.cache_file = settings.data_dir / "packages.db";
  out.max_resource_bytes = settings.max_resource_bytes;
  auto cache = out.open_cache();
  if (!cache)
    return cache.error();
  out.first_cache = std::move(*cache);
  out.take_limits(settings);
  out.git = git::make_git_client(out.listing_limits, out.fetch_limits);
  out.listings = git::make_listing_engine(out.listing_limits, settings.max_connections, settings.max_concurrent_per_host);
  return out;
}

} // namespace veranda
