// links: veranda_adapter_git
// Packs and indexes are read within their bounds, whatever offsets and headers they hold. First byte even: the rest is the body of a pack whose index is
// right but for the offsets, which are of its first bytes. Odd: the rest is the index, then the pack.
#include "adapters/git/pack_file.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace {

using namespace veranda;
using namespace veranda::git;

std::string big_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

const std::filesystem::path& folder() {
  static const auto path = [] {
    const auto parent = ::access("/dev/shm", W_OK) == 0 ? std::filesystem::path{"/dev/shm"} : std::filesystem::temp_directory_path(); // in memory: many more
    std::string name = (parent / "veranda-pack-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return std::filesystem::path{name};
  }();
  return path;
}

void write(const char* name, std::string_view bytes) {
  std::ofstream{folder() / name, std::ios::binary | std::ios::trunc}.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// Pack and index of a body whose entries begin at these offsets.
void write_pack(std::string_view body, std::vector<std::uint64_t> offsets) {
  const std::string pack = "PACK" + big_endian(2, 4) + big_endian(offsets.size(), 4) + std::string{body} + std::string(20, '\0');
  std::sort(offsets.begin(), offsets.end());
  std::string ids, checksums, places;
  for (std::size_t n = 0; n < offsets.size(); ++n) {
    const auto end = n + 1 < offsets.size() ? offsets[n + 1] : pack.size() - 20;
    ids += std::string(19, '\0') + static_cast<char>(n);
    checksums += big_endian(crc32_of(std::string_view{pack}.substr(offsets[n], end - offsets[n])), 4);
    places += big_endian(offsets[n], 4);
  }
  std::string fanout;
  for (int n = 0; n < 256; ++n) fanout += big_endian(offsets.size(), 4);
  write("x.pack", pack);
  write("x.idx", "\377tOc" + big_endian(2, 4) + fanout + ids + checksums + places + std::string(40, '\0'));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  if ((data[0] & 1U) == 0) {
    const std::size_t count = std::min<std::size_t>(data[1] % 16U, bytes.size() - 1);
    const auto body = bytes.substr(1 + count);
    if (body.empty()) return 0;
    std::vector<std::uint64_t> offsets;
    for (std::size_t n = 1; n <= count; ++n) offsets.push_back(12 + static_cast<unsigned char>(bytes[n]) % body.size());
    write_pack(body, std::move(offsets));
  } else {
    const auto index = std::min<std::size_t>(bytes.size(), 1'032 + 40 + 28 * (data[1] % 8U));
    write("x.idx", bytes.substr(0, index));
    write("x.pack", bytes.substr(index));
  }
  const auto pack = pack_file::open(folder() / "x.pack");
  if (!pack) {
    if (pack.error().code != ec::corrupt_cache) std::abort();
    return 0;
  }
  for (std::size_t n = 0; n < pack->size(); ++n) {
    const auto entry = pack->entry(n);
    if (!entry) continue;
    if (entry->packed.size() > entry->whole.size() || entry->id != pack->id(n)) std::abort();
    if (entry->base == entry_base::offset) (void)pack->id_at(entry->base_offset);
    if (!pack->id_at(entry->offset).ok()) std::abort();
  }
  return 0;
}
