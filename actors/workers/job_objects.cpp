#include "actors/workers/job_objects.hpp"

namespace veranda {

namespace {

constexpr std::size_t small_bytes = 4U << 10U;
constexpr std::size_t kept_bytes_limit = 16U << 20U;
constexpr std::size_t bytes_beside = 128; ///< what an entry costs besides the object's own
constexpr std::size_t headers_limit = 200'000;

} // namespace

result<logic::git_object> job_objects::read(const oid& id, std::uint64_t max_bytes) {
  if (auto kept = kept_.extract(id)) {
    kept_bytes_ -= kept.mapped().data.size() + bytes_beside;
    return std::move(kept.mapped());
  }
  auto object = objects_.read(id, max_bytes);
  if (object && keeping_)
    keep(id, *object);
  return object;
}

void job_objects::keep(const oid& id, const logic::git_object& object) {
  const bool wanted_again = object.type == logic::git_object_type::tree || object.type == logic::git_object_type::blob;
  const auto bytes = object.data.size() + bytes_beside;
  if (!wanted_again || object.data.size() > small_bytes || kept_bytes_ + bytes > kept_bytes_limit)
    return;
  if (kept_.emplace(id, object).second)
    kept_bytes_ += bytes;
}

result<logic::git_object_header> job_objects::header(const oid& id) {
  if (const auto at = headers_.find(id); at != headers_.end())
    return at->second;
  if (const auto at = kept_.find(id); at != kept_.end())
    return logic::git_object_header{at->second.type, at->second.data.size()};
  auto header = objects_.header(id);
  if (header && headers_.size() < headers_limit)
    headers_.emplace(id, *header);
  return header;
}

} // namespace veranda
