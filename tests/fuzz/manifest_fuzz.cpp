// links: veranda_adapter_source
// Any bytes are a manifest file that is read within its limits; what is stored of it is JSON, and nothing of a Secret's data is in it or in a problem.
#include "adapters/source/manifest_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string file = (data[0] & 1U) != 0 ? "f.json" : "f.yaml";
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  veranda::source::manifest_limits limits;
  limits.max_nodes = 10'000;
  limits.max_documents = 100;
  const auto read = veranda::source::read_manifest(text, file, limits, "key");
  for (const auto& object : read.objects) {
    if (object.json.empty() || object.key.name.empty() || object.key.ns.empty() || object.document < 1)
      std::abort();
    if (object.resource != veranda::source::secrets_resource)
      continue;
    if (!veranda::source::find_secret(text, file, object.key, limits))
      std::abort();
  }
  for (const auto& problem : read.problems)
    if (problem.rule.empty() || describe(problem).find('\n') != std::string::npos)
      std::abort();
  return 0;
}
