// links: veranda_adapter_codec
// Any text is either refused with a reason or becomes a Repository whose problems are short single lines; its status survives a round trip.
#include "adapters/codec/repository_codec.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto status = veranda::codec::decode_status(text);
  const std::string again = R"({"status":)" + veranda::codec::encode_status(status) + "}";
  if (veranda::codec::encode_status(veranda::codec::decode_status(again)) != veranda::codec::encode_status(status))
    std::abort();
  const auto decoded = veranda::codec::decode_repository(text);
  if (!decoded) {
    if (decoded.error().what.empty())
      std::abort();
    return 0;
  }
  for (const auto& p : decoded->problems)
    if (p.rule.empty() || p.value.size() > 300 || describe(p).find('\n') != std::string::npos)
      std::abort();
  if (decoded->problems.empty() && !decoded->spec.git && !decoded->spec.oci)
    std::abort();
  return 0;
}
