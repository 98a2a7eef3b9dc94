#pragma once

#include "adapters/kube/api_client.hpp"
#include "messages/model/time.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace veranda::kube {

struct release_options {
  std::vector<std::string> namespaces; ///< empty: all
  std::string label_selector;          ///< of Repositories
  std::optional<object_key> lease;     ///< nothing: none is removed
  unsigned max_tries = 5;              ///< of one object against others who write it
  std::size_t at_once = 16;            ///< changes under way
  std::chrono::milliseconds renewal{3'000};     ///< in which whoever holds the Lease renews it: for a Lease that looks old, as clocks differ
  std::chrono::milliseconds look_every{2'000};  ///< whether something comes back
  unsigned looks = 5;
  std::function<wall_time()> now = {};                           ///< empty: the clock
  std::function<void(std::chrono::milliseconds)> wait = {};      ///< empty: sleeps
};

struct release_sums {
  std::size_t repositories = 0;
  std::size_t package_revs = 0;
  std::size_t failed = 0;
};

/// Undoes what a daemon leaves on an API server that would outlive it: its finalizers on PackageRevs and Repositories, in that order, and its Lease. With a selector only
/// PackageRevs of Repositories that it selects count. Objects without the finalizer are passed over, a definition or a Lease that is not there is fine: doing it again
/// changes nothing. A running daemon would undo it: while somebody renews the Lease nothing is touched, and what comes back within `looks` is a failure. A namespace that
/// is not there is one, too. `say` hears a line for each Repository and each failure, and sums for PackageRevs. Drives `client` and blocks until all is done.
release_sums release_all(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say);

} // namespace veranda::kube
