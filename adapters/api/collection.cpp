#include "adapters/api/collection.hpp"

namespace veranda::api {
namespace {

constexpr std::size_t max_idle_readers = 8;

bool outdated(const store::package_cache_reader& reader) { return reader.outdated(); }
bool outdated(const store::object_store_reader&) { return false; } // its file is never replaced while the daemon runs

/// A shared pointer whose deleter puts the reader back. The pool outlives every lease: requests end before the server does.
template <class Reader, class Open>
std::shared_ptr<Reader> lease(std::mutex& mutex, std::vector<std::unique_ptr<Reader>>& idle, const Open& open) {
  std::unique_ptr<Reader> reader;
  {
    const std::lock_guard lock{mutex};
    while (!reader && !idle.empty()) {
      if (!outdated(*idle.back()))
        reader = std::move(idle.back());
      idle.pop_back();
    }
  }
  if (!reader && open)
    reader = open();
  if (!reader)
    return nullptr;
  return {reader.release(), [&mutex, &idle](Reader* used) {
            std::unique_ptr<Reader> owned{used};
            const std::lock_guard lock{mutex};
            if (idle.size() < max_idle_readers)
              idle.push_back(std::move(owned));
          }};
}

} // namespace

std::shared_ptr<store::package_cache_reader> reader_pool::cache() {
  return lease(mutex_, idle_caches_, dependencies_.open_cache);
}

std::shared_ptr<store::object_store_reader> reader_pool::objects() {
  return lease(mutex_, idle_objects_, dependencies_.open_objects);
}

result<std::unique_ptr<collection>> open_collection(const kind_info& kind, reader_pool& readers) {
  if (kind.id == resource_id::repositories) {
    if (auto reader = readers.objects())
      return make_repository_collection(std::move(reader));
  } else if (auto reader = readers.cache()) {
    if (kind.id == resource_id::packages)
      return make_package_collection(std::move(reader));
    return make_revision_collection(std::move(reader), kind.id == resource_id::package_revision_resources);
  }
  return failure{ec::unavailable, "the store cannot be opened now", std::string{kind.plural}, {}, {}};
}

} // namespace veranda::api
