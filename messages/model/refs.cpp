#include "messages/model/refs.hpp"

#include <algorithm>

namespace veranda {

const ref_entry* ref_table::find(std::string_view name) const noexcept {
  const auto it = std::lower_bound(refs.begin(), refs.end(), name, [](const ref_entry& e, std::string_view n) { return e.name < n; });
  return it != refs.end() && it->name == name ? &*it : nullptr;
}

} // namespace veranda
