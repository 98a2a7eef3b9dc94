#pragma once

#include "adapters/kube/api_client.hpp"

#include <functional>
#include <string>
#include <vector>

namespace veranda::kube {

struct release_options {
  resource_type type = repositories();
  std::vector<std::string> namespaces; ///< empty: all
  std::string label_selector;
  std::string finalizer;
  object_key lease;
  unsigned max_tries = 5; ///< of one object against others who write it
};

struct release_sums {
  std::size_t released = 0;
  std::size_t failed = 0;
};

/// Undoes what a daemon leaves on an API server that would outlive it: its finalizer on all objects, and its Lease. Objects without the finalizer are passed over, a
/// definition or a Lease that is not there is fine: doing it again changes nothing. `say` hears one line for each outcome. Drives `client` and blocks until all is done.
release_sums release_all(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say);

} // namespace veranda::kube
