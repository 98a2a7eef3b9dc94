#pragma once

#include "adapters/kube/api_client.hpp"
#include "adapters/store/object_store.hpp"

namespace veranda::kube {

struct object_reader_options {
  resource_type type;
  std::vector<std::string> namespaces; ///< empty: all
  std::string label_selector;
  std::chrono::milliseconds deadline{std::chrono::minutes{2}}; ///< of one list or get
};

/// Reads objects of one kind from the API server as the embedded store would. `list` goes in pages, ordered by namespace and name; a resourceVersion that is no
/// number counts as 0. Positions of the API server are no numbers, so what follows events is `unsupported`: that is what `kube_source` is for. Used by one thread;
/// owns and drives `client`.
std::unique_ptr<store::object_store_reader> open_object_reader(std::unique_ptr<api_client> client, object_reader_options options);

} // namespace veranda::kube
