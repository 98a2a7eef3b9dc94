#include "adapters/git/pack_file.hpp"

#include "adapters/git/atomic_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace veranda::git {

namespace {

constexpr std::size_t id_bytes = 20;
constexpr std::size_t pack_head_bytes = 12;
constexpr std::size_t fanout_end = 8 + 256 * 4;
constexpr std::uint32_t far_bit = 0x80000000U;

std::uint64_t big_endian(std::string_view bytes, std::size_t at, std::size_t count) noexcept {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < count; ++i) out = out << 8U | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

/// Reads an entry's header byte by byte; `ok` is false once the bytes have run out or make no number.
class header_reader {
public:
  explicit header_reader(std::string_view bytes) : rest_(bytes) {}
  bool ok = true;

  std::uint64_t next() {
    if (rest_.empty()) {
      ok = false;
      return 0;
    }
    const auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  oid id() {
    oid out;
    if (rest_.size() < id_bytes) {
      ok = false;
      return out;
    }
    std::memcpy(out.bytes.data(), rest_.data(), id_bytes);
    rest_.remove_prefix(id_bytes);
    return out;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
  std::string_view rest_;
};

void read_type_and_size(header_reader& in, pack_entry& e) {
  auto byte = in.next();
  e.type = static_cast<int>(byte >> 4U & 7U);
  e.size = byte & 15U;
  for (unsigned shift = 4; (byte & 0x80U) != 0 && in.ok; shift += 7) {
    byte = in.next();
    if (shift > 57) in.ok = false;
    else e.size |= (byte & 0x7fU) << shift;
  }
}

std::uint64_t read_distance(header_reader& in) {
  auto byte = in.next();
  std::uint64_t out = byte & 0x7fU;
  while ((byte & 0x80U) != 0 && in.ok) {
    byte = in.next();
    if (out >= 1ULL << 56U) in.ok = false;
    out = (out + 1) << 7U | (byte & 0x7fU);
  }
  return out;
}

} // namespace

std::uint32_t crc32_of(std::string_view bytes) noexcept {
  static const auto tables = [] { // four bytes a step
    std::array<std::array<std::uint32_t, 256>, 4> t{};
    for (std::uint32_t n = 0; n < 256; ++n) {
      std::uint32_t c = n;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xedb88320U ^ (c >> 1U) : c >> 1U;
      t[0][n] = c;
    }
    for (std::uint32_t n = 0; n < 256; ++n)
      for (std::size_t k = 1; k < 4; ++k) t[k][n] = t[k - 1][n] >> 8U ^ t[0][t[k - 1][n] & 255U];
    return t;
  }();
  std::uint32_t c = 0xffffffffU;
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
  for (; bytes.size() >= 4; bytes.remove_prefix(4)) {
    c ^= byte(0) | byte(1) << 8U | byte(2) << 16U | byte(3) << 24U;
    c = tables[3][c & 255U] ^ tables[2][c >> 8U & 255U] ^ tables[1][c >> 16U & 255U] ^ tables[0][c >> 24U];
  }
  for (; !bytes.empty(); bytes.remove_prefix(1)) c = tables[0][(c ^ byte(0)) & 255U] ^ (c >> 8U);
  return ~c;
}

result<mapped_file> mapped_file::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_failure("opening", path, errno);
  struct stat info {};
  mapped_file out;
  void* data = MAP_FAILED;
  if (::fstat(fd, &info) == 0 && info.st_size > 0) data = ::mmap(nullptr, static_cast<std::size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  if (data == MAP_FAILED) {
    if (info.st_size > 0) return file_failure("mapping", path, error);
    return out;
  }
  out.data_ = static_cast<const char*>(data);
  out.size_ = static_cast<std::size_t>(info.st_size);
  return out;
}

mapped_file::mapped_file(mapped_file&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

mapped_file& mapped_file::operator=(mapped_file&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

mapped_file::~mapped_file() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

result<pack_file> pack_file::open(const std::filesystem::path& pack) {
  auto data = mapped_file::open(pack);
  if (!data) return std::move(data).error();
  auto beside = pack;
  auto index = mapped_file::open(beside.replace_extension(".idx"));
  if (!index) return std::move(index).error();
  pack_file out{*std::move(data), *std::move(index)};
  out.path_ = pack;
  if (auto read = out.read_index(); !read) return std::move(read).error();
  return out;
}

failure pack_file::damaged() const { return {ec::corrupt_cache, "a pack of the mirror is damaged; the mirror is fetched anew", path_.string(), {}, {}}; }

oid pack_file::id_of(std::uint32_t number) const noexcept {
  oid out;
  std::memcpy(out.bytes.data(), index_.bytes().data() + fanout_end + number * id_bytes, id_bytes);
  return out;
}

result<void> pack_file::read_index() {
  const auto index = index_.bytes();
  const auto pack = pack_.bytes();
  if (pack.size() < pack_head_bytes + id_bytes || index.size() < fanout_end + 2 * id_bytes) return damaged();
  if (std::memcmp(pack.data(), "PACK\0\0\0\2", 8) != 0 || std::memcmp(index.data(), "\377tOc\0\0\0\2", 8) != 0) return damaged();
  const auto count = big_endian(index, fanout_end - 4, 4);
  if (count != big_endian(pack, 8, 4) || (index.size() - fanout_end - 2 * id_bytes) / (id_bytes + 8) < count) return damaged();
  const auto near = fanout_end + count * (id_bytes + 4);
  const auto far = near + count * 4;
  const auto far_count = (index.size() - 2 * id_bytes - far) / 8;
  order_.reserve(count);
  for (std::uint32_t n = 0; n < count; ++n) {
    auto offset = big_endian(index, near + n * std::size_t{4}, 4);
    if ((offset & far_bit) != 0) {
      offset &= ~std::uint64_t{far_bit};
      if (offset >= far_count) return damaged();
      offset = big_endian(index, far + offset * 8, 8);
    }
    if (offset < pack_head_bytes || offset >= pack.size() - id_bytes) return damaged();
    order_.push_back({offset, n});
  }
  std::sort(order_.begin(), order_.end(), [](const place& a, const place& b) { return a.offset < b.offset; });
  return {};
}

result<pack_entry> pack_file::entry(std::size_t n) const {
  const auto pack = pack_.bytes();
  const auto number = order_[n].number;
  pack_entry e;
  e.id = id_of(number);
  e.offset = order_[n].offset;
  const auto end = n + 1 < order_.size() ? order_[n + 1].offset : pack.size() - id_bytes;
  e.whole = pack.substr(e.offset, end - e.offset);
  e.checksum = static_cast<std::uint32_t>(big_endian(index_.bytes(), fanout_end + order_.size() * id_bytes + number * std::size_t{4}, 4));
  header_reader in{e.whole};
  read_type_and_size(in, e);
  if (e.type == 6) {
    e.base = entry_base::offset;
    const auto distance = read_distance(in);
    if (distance == 0 || distance > e.offset) return damaged();
    e.base_offset = e.offset - distance;
  } else if (e.type == 7) {
    e.base = entry_base::id;
    e.base_id = in.id();
  }
  e.packed = in.rest();
  if (!in.ok || e.type == 0 || e.type == 5 || crc32_of(e.whole) != e.checksum) return damaged();
  return e;
}

result<oid> pack_file::id_at(std::uint64_t offset) const {
  const auto at = std::lower_bound(order_.begin(), order_.end(), offset, [](const place& p, std::uint64_t wanted) { return p.offset < wanted; });
  if (at == order_.end() || at->offset != offset) return damaged();
  return id_of(at->number);
}

} // namespace veranda::git
