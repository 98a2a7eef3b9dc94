// links: veranda_logic veranda_adapter_kpt
#include "adapters/kpt/annotations.hpp"

#include <algorithm>
#include <cstdlib>

/// Every line is either decoded or counted, and none is counted twice.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static veranda::kpt::annotation_decoder decoder;
  const std::string_view message{reinterpret_cast<const char*>(data), size};
  std::size_t dropped = 0;
  const auto found = decoder.decode(message, dropped);
  const auto lines = static_cast<std::size_t>(std::count(message.begin(), message.end(), '\n')) + 1;
  if (found.size() + dropped > lines)
    std::abort();
  return 0;
}
