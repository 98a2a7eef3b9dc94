#pragma once

#include "actors/system/kubernetes.hpp"
#include "adapters/git/git_client.hpp"
#include "adapters/git/http_listing.hpp"
#include "adapters/secrets/manifest_secrets.hpp"
#include "adapters/source/manifest_directory.hpp"
#include "adapters/store/data_dir.hpp"
#include "adapters/store/object_store.hpp"
#include "adapters/store/package_cache.hpp"
#include "config/settings/settings.hpp"

namespace veranda {

/// Everything outside the actors, shared with them.
struct adapters {
  std::filesystem::path objects_file, cache_file;
  std::uint64_t max_resource_bytes = 0; ///< what syncs keep of a file
  std::unique_ptr<store::data_dir_lock> data;
  std::string token; ///< of the API
  live<git::transport_limits> listing_limits, fetch_limits; ///< of the next two
  std::shared_ptr<git::git_client> git;
  std::shared_ptr<git::listing_engine> listings;
  std::shared_ptr<secrets::secret_files> secret_files = std::make_shared<secrets::secret_files>();
  std::shared_ptr<secrets::secret_source> secrets;
  std::shared_ptr<source::manifest_directory> manifests; ///< null without a directory
  std::optional<kubernetes> kube;               ///< instead of the object store
  std::shared_ptr<store::object_store> objects; ///< null on Kubernetes
  std::unique_ptr<store::package_cache> first_cache; ///< for the cache writer, which opens later ones itself

  /// What may be changed while they are used.
  void take_limits(const config::settings& settings) const;
  /// The embedded store, or the API server.
  [[nodiscard]] result<std::unique_ptr<store::object_store_reader>> read_objects() const;
  [[nodiscard]] result<std::unique_ptr<store::package_cache_reader>> read_cache() const;
  /// The package cache for writing; one that is damaged, or was found so, is moved aside first, and the log says so.
  [[nodiscard]] result<std::unique_ptr<store::package_cache>> open_cache() const;
  /// Moves a package cache aside that was found damaged while it was open. The log says so.
  [[nodiscard]] result<void> set_cache_aside() const;
};

/// Locks the data directory and opens all there is. Failures as for `start_system`.
result<adapters> open_adapters(const config::settings& settings);

} // namespace veranda
