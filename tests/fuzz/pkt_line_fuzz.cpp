// links: veranda_adapter_git
// Packets are the same however the bytes are cut, and only one is kept.
#include "adapters/git/pkt_line.hpp"

#include <cstdlib>

using namespace veranda;
using namespace veranda::git;

namespace {

std::string packets_of(std::string_view bytes, std::size_t piece) {
  packet_reader reader;
  std::string seen;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    const auto fed = reader.feed(bytes.substr(0, piece), [&](packet_kind kind, std::string_view payload) -> result<void> {
      seen += static_cast<char>(kind);
      seen += payload;
      return {};
    });
    if (!fed) return seen + "!";
  }
  return seen + (reader.at_boundary() ? "." : "?");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto whole = packets_of(bytes, size + 1);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{17}})
    if (packets_of(bytes, piece) != whole) std::abort();
  return 0;
}
