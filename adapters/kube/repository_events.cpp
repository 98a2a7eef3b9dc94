#include "adapters/kube/repository_events.hpp"

#include "adapters/codec/repository_codec.hpp"

namespace veranda::kube {

repository_object to_repository(const api_object& object) {
  repository_object out;
  if (!object.json.empty()) {
    if (auto decoded = codec::decode_repository(object.json)) out = *std::move(decoded);
    else out.problems.push_back({decoded.error().field, {}, decoded.error().what});
    out.status = codec::decode_status(object.json);
  } else if (object.problem) {
    out.problems.push_back({{}, {}, object.problem->what});
  }
  out.meta.key = object.key;
  out.meta.uid = object.uid;
  out.meta.resource_version = object.resource_version;
  out.meta.generation = object.generation;
  return out;
}

} // namespace veranda::kube
