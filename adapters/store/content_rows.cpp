#include "adapters/store/content_rows.hpp"

#include <cstring>

namespace veranda::store {
namespace {

constexpr char git_sha1 = 1;

// The list: a version byte, then per file: kind, algorithm and digest, size, length of the path, path. Numbers are base-128, low digits first.
constexpr char list_version = 1;

void put_number(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7)
    out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}

/// Reads the list piece by piece; throws at its end or when a piece is wrong.
class list_reader {
public:
  explicit list_reader(std::string_view bytes) : rest_(bytes) {
    if (take(1)[0] != list_version)
      damaged();
  }
  [[nodiscard]] bool done() const noexcept { return rest_.empty(); }

  std::string_view take(std::size_t n) {
    if (n > rest_.size())
      damaged();
    const auto piece = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return piece;
  }
  std::uint64_t number() {
    std::uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      v |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (!(byte & 0x80))
        return v;
    }
    damaged();
  }
  oid digest() { return from_digest_key(take(1 + sizeof(oid::bytes))); }
  file_kind kind() {
    const auto k = static_cast<unsigned char>(take(1)[0]);
    if (k > static_cast<unsigned char>(file_kind::omitted_too_large))
      damaged();
    return static_cast<file_kind>(k);
  }

private:
  [[noreturn]] static void damaged() { throw sqlite::error{{ec::corrupt_cache, "a stored list of files is damaged", {}, {}, {}}}; }
  std::string_view rest_;
};

} // namespace

std::string digest_key(const oid& id) {
  std::string key(1, git_sha1);
  key.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  return key;
}

oid from_digest_key(std::string_view key) noexcept {
  oid id;
  if (key.size() == 1 + id.bytes.size() && key[0] == git_sha1)
    std::memcpy(id.bytes.data(), key.data() + 1, id.bytes.size());
  return id;
}

std::string encode_files(const std::vector<package_file>& files) {
  std::string out(1, list_version);
  for (const auto& file : files) {
    out.push_back(static_cast<char>(file.kind));
    out.append(digest_key(file.blob));
    put_number(out, file.size_bytes);
    put_number(out, file.path.size());
    out.append(file.path);
  }
  return out;
}

std::vector<package_file> decode_files(std::string_view bytes) {
  std::vector<package_file> files;
  for (list_reader in{bytes}; !in.done();) {
    auto& file = files.emplace_back();
    file.kind = in.kind();
    file.blob = in.digest();
    file.size_bytes = in.number();
    file.path = in.take(in.number());
  }
  return files;
}

void for_each_blob(std::string_view bytes, const std::function<void(const oid&)>& f) {
  for (list_reader in{bytes}; !in.done();) {
    in.take(1);
    f(in.digest());
    in.number();
    in.take(in.number());
  }
}

} // namespace veranda::store
