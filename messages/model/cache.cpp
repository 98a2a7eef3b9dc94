#include "messages/model/cache.hpp"

namespace veranda::store {

std::size_t content_batch::size_bytes() const noexcept {
  std::size_t size = 0;
  for (const auto& content : contents)
    size += sizeof(oid) + content.data.size();
  for (const auto& tree : trees) {
    size += sizeof(oid);
    for (const auto& file : tree.files)
      size += sizeof(package_file) + file.path.size();
  }
  return size;
}

} // namespace veranda::store
