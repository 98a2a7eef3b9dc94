#pragma once

#include "adapters/store/package_cache.hpp"
#include "messages/model/sync.hpp"

namespace veranda {

/// Which packages of a repository lack files once a delta is applied: those of the delta, and those that stay as they are.
class file_losses {
public:
  /// How many losses of a repository are named; the others are counted.
  static constexpr std::size_t named = 100;

  explicit file_losses(store::package_cache_reader& cache) : cache_(cache) {}

  /// The trees that the cache is to have for `delta`, without repeats: those of its revisions, and those that lack files and stay current.
  result<std::vector<oid>> look(const std::string& uid, const package_delta& delta);
  /// Once these are stored: adds what is lost of them to `delta.bad`, named `ref:path` after one revision of each tree, and all of it to the delta's count.
  result<void> report(package_delta& delta) const;

private:
  store::package_cache_reader& cache_;
  std::vector<store::incomplete_revision> staying_; ///< incomplete revisions that the delta leaves alone
  std::vector<oid> trees_;
};

} // namespace veranda
