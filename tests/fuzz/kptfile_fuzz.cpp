// links: veranda_logic veranda_adapter_kpt
#include "actors/logic/discovery/facts.hpp"
#include "adapters/kpt/kptfile.hpp"

#include <cstdlib>

/// No text makes the decoder fail, and what it gives survives its encoding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const veranda::kptfile_facts facts = veranda::kpt::decode_kptfile(text);
  if (veranda::logic::decode_facts(veranda::logic::encode_facts(facts)) != facts)
    std::abort();
  (void)veranda::logic::decode_facts(text);
  return 0;
}
