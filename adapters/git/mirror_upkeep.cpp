#include "adapters/git/atomic_file.hpp"
#include "adapters/git/disk_mirror.hpp"
#include "adapters/git/memory_bound.hpp"
#include "adapters/git/pack_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <git2.h>
#include <mutex>
#include <set>
#include <system_error>

namespace veranda::git {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t mapped_window_bytes = 8U << 20U;
constexpr std::size_t mapped_limit_bytes = 64U << 20U;
constexpr std::size_t open_pack_limit = 256;
constexpr std::size_t object_cache_bytes = 16U << 20U;

constexpr std::size_t checksum_bytes = 20;
constexpr std::size_t fanout_bytes = 1'024;
constexpr std::size_t index_head_bytes = 8;
constexpr std::size_t pack_head_bytes = 12;

failure damaged_pack(const fs::path& pack) {
  return {ec::corrupt_cache, "a pack of the mirror is damaged; the mirror is fetched anew", pack.string(), {}, {}};
}

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24U | std::uint32_t{bytes[1]} << 16U | std::uint32_t{bytes[2]} << 8U | std::uint32_t{bytes[3]};
}

/// `size` bytes at `offset`, from the end when negative; zeros where there are none.
template <std::size_t Size>
std::array<unsigned char, Size> bytes_at(std::ifstream& file, std::streamoff offset) {
  std::array<unsigned char, Size> out{};
  file.clear();
  file.seekg(offset, offset < 0 ? std::ios::end : std::ios::beg);
  file.read(reinterpret_cast<char*>(out.data()), Size);
  return out;
}

bool matches_index(const fs::path& pack, const fs::path& index) {
  std::error_code error;
  const auto index_size = fs::file_size(index, error);
  if (error) return false;
  std::ifstream p{pack, std::ios::binary};
  std::ifstream i{index, std::ios::binary};
  const auto pack_head = bytes_at<pack_head_bytes>(p, 0);
  const auto index_head = bytes_at<index_head_bytes>(i, 0);
  const auto last_fanout = bytes_at<4>(i, index_head_bytes + fanout_bytes - 4);
  if (std::memcmp(pack_head.data(), "PACK\0\0\0\2", 8) != 0 || std::memcmp(index_head.data(), "\377tOc\0\0\0\2", 8) != 0) return false;
  const std::uint64_t objects = big_endian(pack_head.data() + 8);
  const auto least_size = index_head_bytes + fanout_bytes + objects * (checksum_bytes + 8) + 2 * checksum_bytes;
  return objects == big_endian(last_fanout.data()) && index_size >= least_size &&
         bytes_at<checksum_bytes>(p, -static_cast<std::streamoff>(checksum_bytes)) ==
           bytes_at<checksum_bytes>(i, -2 * static_cast<std::streamoff>(checksum_bytes));
}

/// Whether the hash at the end of a pack or an index is that of all before it.
result<bool> is_whole(const fs::path& file) {
  const auto mapped = mapped_file::open(file);
  if (!mapped) return mapped.error();
  const auto bytes = mapped->bytes();
  if (bytes.size() < checksum_bytes) return false;
  const auto digest = sha1(bytes.substr(0, bytes.size() - checksum_bytes));
  return std::memcmp(digest.data(), bytes.data() + bytes.size() - checksum_bytes, checksum_bytes) == 0;
}

bool is_debris(const fs::path& file) {
  const auto name = file.filename().string();
  if (name.ends_with(".lock") || name.ends_with(".new")) return true;
  const auto in_packs = file.parent_path().filename() == "pack";
  if (!in_packs) return false;
  std::error_code error;
  auto partner = file;
  if (file.extension() == ".pack") return !fs::exists(partner.replace_extension(".idx"), error);
  if (file.extension() == ".idx") return !fs::exists(partner.replace_extension(".pack"), error);
  return true;
}

} // namespace

void ensure_libgit2() {
  static std::once_flag once;
  std::call_once(once, [] {
    memory_bound::install();
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, mapped_window_bytes);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, mapped_limit_bytes);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_FILE_LIMIT, open_pack_limit);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(object_cache_bytes));
    git_libgit2_opts(GIT_OPT_ENABLE_CACHING, 0); // every object is read once: copies of them help nobody
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0); // `disk_mirror::read` compares hashes itself, several times as fast
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_PROGRAMDATA})
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
  });
}

failure libgit2_failure(int code, std::string_view action, ec fallback) {
  const auto* last = git_error_last();
  const int group = last != nullptr ? last->klass : GIT_ERROR_NONE;
  auto what = fallback;
  if (code == GIT_EMISMATCH) what = ec::checksum_mismatch;
  else if (code == GIT_ENOTFOUND) what = ec::not_found;
  else if (group == GIT_ERROR_OS || group == GIT_ERROR_NOMEMORY || group == GIT_ERROR_FILESYSTEM) what = ec::unavailable;
  std::string text{action};
  text += " failed";
  if (last != nullptr && last->message != nullptr) text += ": " + std::string{last->message}.substr(0, 300);
  return {what, std::move(text), {}, {}, {}};
}

result<void> scrub_mirror(const fs::path& dir) {
  std::error_code error;
  for (const auto& folder : {dir, dir / "objects" / "pack"}) {
    std::vector<fs::path> debris;
    for (const auto& entry : fs::directory_iterator(folder, error))
      if (entry.is_regular_file(error) && is_debris(entry.path())) debris.push_back(entry.path());
    for (const auto& file : debris)
      if (!fs::remove(file, error) && error) return file_failure("removing what a dead process left", file, error.value());
  }
  return {};
}

result<std::vector<fs::path>> check_unsettled_packs(const fs::path& pack_dir, std::string_view settled) {
  std::set<std::string, std::less<>> known;
  for (std::size_t end; (end = settled.find('\n')) != std::string_view::npos; settled.remove_prefix(end + 1)) known.emplace(settled.substr(0, end));
  std::vector<fs::path> unknown;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pack_dir, error))
    if (entry.path().extension() == ".pack" && !known.contains(entry.path().stem().string())) unknown.push_back(pack_dir / entry.path().stem());
  if (error) return file_failure("reading the packs", pack_dir, error.value());
  std::vector<fs::path> sound;
  for (const auto& base : unknown) {
    bool whole = true;
    for (const char* suffix : {".idx", ".pack"}) {
      auto looked = is_whole(base.string() + suffix);
      if (!looked) return std::move(looked).error();
      whole = whole && *looked;
    }
    if (whole) sound.push_back(base);
    else if (auto removed = remove_pack(base.string() + ".pack"); !removed) return std::move(removed).error();
  }
  return sound;
}

result<void> verify_packs(const fs::path& pack_dir) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pack_dir, error)) {
    if (entry.path().extension() != ".pack") continue;
    auto index = entry.path();
    if (!matches_index(entry.path(), index.replace_extension(".idx"))) return damaged_pack(entry.path());
  }
  return error ? result<void>{file_failure("reading the packs", pack_dir, error.value())} : result<void>{};
}

} // namespace veranda::git
