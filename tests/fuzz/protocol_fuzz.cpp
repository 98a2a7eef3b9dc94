// links: veranda_adapter_git
// Whatever a git server sends, the readers end with a value or a failure, the same however the bytes are cut.
#include "adapters/git/fetch_protocol.hpp"
#include "adapters/git/packed_refs.hpp"
#include "adapters/git/ref_listing.hpp"

#include <cstdlib>

using namespace veranda;
using namespace veranda::git;

namespace {

template <class Reader>
bool accepts(Reader&& reader, std::string_view bytes, std::size_t piece) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
    if (!reader.feed(bytes.substr(0, piece))) return false;
  return reader.finish().ok();
}

void require(bool truth) {
  if (!truth) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const ref_prefixes prefixes{"refs/heads/", "refs/tags/"};
  const auto sink = [](std::string_view) -> result<void> { return {}; };
  require(accepts(ls_refs_reader{prefixes, 100}, bytes, 1) == accepts(ls_refs_reader{prefixes, 100}, bytes, bytes.size() + 1));
  require(accepts(advertisement_reader{prefixes, 100}, bytes, 1) == accepts(advertisement_reader{prefixes, 100}, bytes, bytes.size() + 1));
  for (const auto protocol : {protocol_version::v0, protocol_version::v2})
    require(accepts(fetch_reader{protocol, sink}, bytes, 1) == accepts(fetch_reader{protocol, sink}, bytes, bytes.size() + 1));
  if (const auto table = parse_packed_refs(bytes)) require(parse_packed_refs(render_packed_refs(*table)).ok());
  if (const auto url = canonical_url(bytes, true)) require(*canonical_url(*url, true) == *url);
  return 0;
}
