#include "adapters/git/atomic_file.hpp"
#include "adapters/git/disk_mirror.hpp"
#include "adapters/git/pack_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>

namespace veranda::git {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t least_packs = 17; ///< fewer are left alone
constexpr std::size_t kept_packs = 8;   ///< at most so many stay beside the merged one
constexpr std::size_t write_bytes = 1U << 20U;
constexpr std::size_t look_interval = 256; ///< objects between looks at the token

struct pack_on_disk {
  fs::path path;
  std::uint64_t size = 0;
};

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

std::string_view view_of(const sha1_digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

/// The packs to be merged, smallest first: the smallest ones while the next is less than twice what they make together, or too many would be left.
std::vector<pack_on_disk> choose(std::vector<pack_on_disk> packs) {
  if (packs.size() < least_packs) return {};
  std::sort(packs.begin(), packs.end(), [](const pack_on_disk& a, const pack_on_disk& b) { return a.size < b.size || (a.size == b.size && a.path < b.path); });
  std::uint64_t together = 0;
  std::size_t n = 0;
  while (n < packs.size() && (packs.size() - n > kept_packs || packs[n].size < 2 * together)) together += packs[n++].size;
  packs.resize(n);
  return packs;
}

/// A new file, written in large pieces and hashed on the way; removed unless it is kept.
class hashed_file {
public:
  explicit hashed_file(fs::path path) : path_(std::move(path)), fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)), error_(errno) {}
  hashed_file(const hashed_file&) = delete;
  hashed_file& operator=(const hashed_file&) = delete;
  ~hashed_file() {
    if (fd_ >= 0) ::close(fd_);
    if (!kept_) ::unlink(path_.c_str());
  }
  result<void> write(std::string_view bytes) {
    pending_.append(bytes);
    written_ += bytes.size();
    return pending_.size() >= write_bytes ? flush() : result<void>{};
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return written_; }
  /// Appends the hash of everything, brings the file to the disk and answers the hash.
  result<sha1_digest> finish() {
    if (auto done = flush(); !done) return std::move(done).error();
    const auto digest = hasher_.finish();
    pending_ = view_of(digest);
    if (auto done = flush(); !done) return std::move(done).error();
    if (::fsync(fd_) != 0) return file_failure("writing", path_, errno);
    return digest;
  }
  result<void> rename(const fs::path& to) {
    if (::rename(path_.c_str(), to.c_str()) != 0) return file_failure("replacing", to, errno);
    kept_ = true;
    return {};
  }

private:
  result<void> flush() {
    if (fd_ < 0) return file_failure("creating", path_, error_);
    hasher_.update(pending_);
    for (std::string_view rest = pending_; !rest.empty();) {
      const auto n = ::write(fd_, rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return file_failure("writing", path_, n < 0 ? errno : ENOSPC);
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    pending_.clear();
    return {};
  }
  fs::path path_;
  int fd_;
  int error_; ///< of opening it
  bool kept_ = false;
  sha1_hasher hasher_;
  std::string pending_;
  std::uint64_t written_ = 0;
};

/// Where an object came to lie.
struct written_object {
  oid id;
  std::uint64_t offset;
  std::uint32_t checksum;
};

/// Copies entries into one pack, each object once, without inflating them.
class merger {
public:
  /// `wanted` null: everything is.
  merger(const fs::path& pack_dir, const std::unordered_set<oid>* wanted, const cancel_token& cancel)
      : dir_(pack_dir), wanted_(wanted), cancel_(cancel), out_(pack_dir / "tmp_merged.pack.new") {}

  result<fs::path> run(const std::vector<pack_on_disk>& chosen) {
    for (const auto& pack : chosen) {
      auto opened = pack_file::open(pack.path);
      if (!opened) return std::move(opened).error();
      sources_.push_back(*std::move(opened));
    }
    place_objects();
    if (wanted_ != nullptr)
      if (auto placed = place_bases(); !placed) return std::move(placed).error();
    std::string head{"PACK"};
    append_big_endian(head, 2, 4);
    append_big_endian(head, places_.size(), 4);
    if (auto done = out_.write(head); !done) return std::move(done).error();
    for (const auto& source : sources_)
      if (auto done = copy(source); !done) return std::move(done).error();
    auto digest = out_.finish();
    if (!digest) return std::move(digest).error();
    return complete(*digest);
  }

private:
  void place_objects() {
    std::size_t all = 0;
    for (const auto& source : sources_) all += source.size();
    places_.reserve(wanted_ != nullptr ? wanted_->size() : all);
    for (const auto& source : sources_)
      for (std::size_t n = 0; n < source.size(); ++n)
        if (const auto id = source.id(n); wanted_ == nullptr || wanted_->contains(id)) places_.emplace(id, 0);
  }

  /// What is wanted may be a difference from what is not. A base mostly lies before what needs it, so that one look from the end finds nearly all.
  result<void> place_bases() {
    for (bool found = true; found;) {
      found = false;
      for (const auto& source : sources_)
        for (std::size_t n = source.size(); n-- > 0;) {
          if (n % look_interval == 0 && cancel_.expired()) return stopped();
          if (!places_.contains(source.id(n))) continue;
          auto entry = source.entry(n);
          if (!entry) return std::move(entry).error();
          if (entry->base == entry_base::none) continue;
          auto base = base_of(source, *entry);
          if (!base) return std::move(base).error();
          found = places_.emplace(*base, 0).second || found;
        }
    }
    return {};
  }

  [[nodiscard]] failure stopped() const { return {cancel_.reason(), "merging packs was stopped", {}, {}, {}}; }

  static result<oid> base_of(const pack_file& source, const pack_entry& e) { return e.base == entry_base::offset ? source.id_at(e.base_offset) : result<oid>{e.base_id}; }

  result<void> copy(const pack_file& source) {
    for (std::size_t n = 0; n < source.size(); ++n) {
      if (n % look_interval == 0 && cancel_.expired()) return stopped();
      const auto place = places_.find(source.id(n));
      if (place == places_.end() || place->second != 0) continue;
      auto entry = source.entry(n);
      if (!entry) return std::move(entry).error();
      const auto begin = out_.size();
      auto checksum = append(source, *entry);
      if (!checksum) return std::move(checksum).error();
      place->second = begin;
      objects_.push_back({entry->id, begin, *checksum});
    }
    return {};
  }

  /// A delta says where its base lies as a distance, which changes, or by its id. A base that is not written yet is named by its id.
  result<std::uint32_t> append(const pack_file& source, const pack_entry& e) {
    if (e.base == entry_base::none) {
      if (auto done = out_.write(e.whole); !done) return std::move(done).error();
      return e.checksum;
    }
    const auto named = base_of(source, e);
    if (!named) return named.error();
    const auto& base = *named;
    const auto at = places_.find(base);
    if (at == places_.end()) return failure{ec::corrupt_cache, "a pack of the mirror lacks the base of a delta", {}, {}, {}};
    std::string entry = head_of(at->second == 0 ? 7 : 6, e.size);
    if (at->second == 0) entry.append(reinterpret_cast<const char*>(base.bytes.data()), base.bytes.size());
    else append_distance(entry, out_.size() - at->second);
    entry.append(e.packed);
    if (auto done = out_.write(entry); !done) return std::move(done).error();
    return crc32_of(entry);
  }

  static std::string head_of(int type, std::uint64_t size) {
    std::string out;
    auto byte = static_cast<unsigned char>(type << 4 | static_cast<int>(size & 15U));
    for (size >>= 4U; size != 0; size >>= 7U) {
      out += static_cast<char>(byte | 0x80U);
      byte = static_cast<unsigned char>(size & 0x7fU);
    }
    out += static_cast<char>(byte);
    return out;
  }

  static void append_distance(std::string& out, std::uint64_t distance) {
    std::array<char, 10> bytes{};
    auto at = bytes.end();
    *--at = static_cast<char>(distance & 0x7fU);
    while ((distance >>= 7U) != 0) *--at = static_cast<char>(0x80U | (--distance & 0x7fU));
    out.append(at, bytes.end());
  }

  /// Writes the index; then pack and index get their names, the index last: without it a pack is debris.
  result<fs::path> complete(const sha1_digest& pack_digest) {
    std::sort(objects_.begin(), objects_.end(), [](const written_object& a, const written_object& b) { return a.id < b.id; });
    hashed_file index{dir_ / "tmp_merged.idx.new"};
    if (auto done = index.write(index_bytes(pack_digest)); !done) return std::move(done).error();
    if (auto done = index.finish(); !done) return std::move(done).error();
    const auto pack = dir_ / ("pack-" + to_hex(pack_digest) + ".pack");
    auto beside = pack;
    if (auto done = out_.rename(pack); !done) return std::move(done).error();
    if (auto done = index.rename(beside.replace_extension(".idx")); !done) return std::move(done).error();
    if (auto done = sync_path(dir_); !done) return std::move(done).error();
    return pack;
  }

  std::string index_bytes(const sha1_digest& pack_digest) const {
    std::string out{"\377tOc"};
    append_big_endian(out, 2, 4);
    std::size_t below = 0;
    for (unsigned first = 0; first < 256; ++first) {
      while (below < objects_.size() && objects_[below].id.bytes[0] == first) ++below;
      append_big_endian(out, below, 4);
    }
    for (const auto& o : objects_) out.append(reinterpret_cast<const char*>(o.id.bytes.data()), o.id.bytes.size());
    for (const auto& o : objects_) append_big_endian(out, o.checksum, 4);
    std::string far;
    for (const auto& o : objects_) {
      if (o.offset < 0x80000000U) {
        append_big_endian(out, o.offset, 4);
      } else {
        append_big_endian(out, 0x80000000U | far.size() / 8, 4);
        append_big_endian(far, o.offset, 8);
      }
    }
    return out.append(far).append(view_of(pack_digest));
  }

  const fs::path& dir_;
  const std::unordered_set<oid>* const wanted_;
  const cancel_token& cancel_;
  hashed_file out_;
  std::vector<pack_file> sources_;
  std::unordered_map<oid, std::uint64_t> places_; ///< offset in the new pack, 0 before it is written
  std::vector<written_object> objects_;
};

result<std::vector<pack_on_disk>> packs_in(const fs::path& pack_dir) {
  std::vector<pack_on_disk> packs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pack_dir, error))
    if (entry.path().extension() == ".pack") packs.push_back({entry.path(), entry.file_size(error)});
  if (error) return file_failure("reading the packs", pack_dir, error.value());
  return packs;
}

/// One takes the place of these: they go when it is on the disk.
result<void> merge(const fs::path& pack_dir, const std::vector<pack_on_disk>& chosen, const std::unordered_set<oid>* wanted, const cancel_token& cancel) {
  auto merged = merger{pack_dir, wanted, cancel}.run(chosen);
  if (!merged) return std::move(merged).error();
  for (const auto& pack : chosen)
    if (pack.path != *merged)
      if (auto removed = remove_pack(pack.path); !removed) return removed;
  return {};
}

} // namespace

result<void> remove_pack(const fs::path& pack) {
  std::error_code error;
  for (const char* suffix : {".idx", ".pack"}) {
    auto file = pack;
    if (!fs::remove(file.replace_extension(suffix), error) && error) return file_failure("removing a pack", file, error.value());
  }
  return {};
}

result<bool> merge_packs(const fs::path& pack_dir, const cancel_token& cancel) {
  auto packs = packs_in(pack_dir);
  if (!packs) return std::move(packs).error();
  const auto chosen = choose(*std::move(packs));
  if (chosen.empty()) return false;
  if (auto merged = merge(pack_dir, chosen, nullptr, cancel); !merged) return std::move(merged).error();
  return true;
}

result<void> merge_wanted(const fs::path& pack_dir, const std::unordered_set<oid>& wanted, const cancel_token& cancel) {
  auto packs = packs_in(pack_dir);
  if (!packs) return std::move(packs).error();
  return merge(pack_dir, *packs, &wanted, cancel);
}

} // namespace veranda::git
