#pragma once

#include "adapters/git/git_remote.hpp"
#include "messages/model/digest.hpp"

#include <future>
#include <unordered_set>
#include <utility>

struct git_odb;

namespace veranda::git {

struct odb_deleter {
  void operator()(git_odb* odb) const noexcept;
};
using odb_ptr = std::unique_ptr<git_odb, odb_deleter>;

/// Holds a mirror for one user, in this process or another, while it lives.
class mirror_lock {
public:
  mirror_lock() = default;
  mirror_lock(mirror_lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  mirror_lock& operator=(mirror_lock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~mirror_lock();
  /// The directory must exist. `unavailable` when somebody else has the mirror.
  static result<mirror_lock> take(const std::filesystem::path& dir);
  /// Makes the directory when there is none, waits for the moment that somebody may need to remove what was there, and notes that the mirror is used.
  static result<mirror_lock> take_or_make(const std::filesystem::path& dir);

private:
  int fd_ = -1;
};

/// The real mirror. `fetch` brings it forward through the functions that `mirror` does not have.
class disk_mirror final : public mirror, private logic::object_reader {
public:
  static result<std::unique_ptr<disk_mirror>> open(const std::filesystem::path& dir, const std::string& identity,
                                                   std::uint64_t max_object_memory = transport_limits{}.max_object_memory);

  ref_table_ptr refs() const override { return refs_; }
  logic::object_reader& objects() override { return *this; }
  bool contains(const oid& id) override;
  std::string load_index() override;
  result<void> save_index(std::string_view image) override;
  std::size_t pack_count() const override { return pack_count_; }
  const std::filesystem::path& path() const override { return dir_; }
  result<void> settle() override;
  result<void> tidy(const cancel_token& cancel) override;

  [[nodiscard]] git_odb* odb() const noexcept { return odb_.get(); }
  [[nodiscard]] std::uint64_t pack_bytes() const noexcept { return pack_bytes_; }
  [[nodiscard]] std::filesystem::path pack_dir() const { return dir_ / "objects" / "pack"; }
  /// Makes a pack that was written since visible; `settle` brings it to the disk.
  result<void> add_pack(const std::filesystem::path& without_suffix);
  /// Replaces the refs here, and on disk by the next `settle`; nothing is written when they are the same.
  void replace_refs(const ref_table& table);

private:
  disk_mirror(std::filesystem::path dir, std::uint64_t max_object_memory) : dir_(std::move(dir)), max_object_memory_(max_object_memory) {}
  result<logic::git_object> read(const oid& id, std::uint64_t max_bytes) override;
  result<logic::git_object_header> header(const oid& id) override;
  result<logic::git_object> read_within(std::uint64_t memory, const oid& id, std::uint64_t max_bytes, bool& exceeded);
  result<void> create(const std::string& identity);
  result<void> look_at_packs();
  result<bool> merge_all(const cancel_token& cancel);
  [[nodiscard]] std::string settled_packs() const;
  result<void> check_identity(const std::string& identity);
  void start_writing(ref_table_ptr table, bool refs_changed, std::string head);
  result<void> load_refs();
  result<void> open_odb();
  void count_packs();

  std::filesystem::path dir_;
  std::uint64_t max_object_memory_;
  mirror_lock lock_; ///< given up last
  ref_table_ptr refs_;
  odb_ptr odb_;
  sha1_hasher hasher_;
  std::vector<std::filesystem::path> new_packs_; ///< not known to be on the disk
  std::future<result<void>> writing_;
  std::size_t pack_count_ = 0;
  std::uint64_t pack_bytes_ = 0;
  std::uint64_t whole_bytes_ = 0; ///< what the packs took when all of it was known to be of use; 0: not known
};

/// Removes what a dead process left: temporary packs, half of a pack, locks, files about to be renamed.
result<void> scrub_mirror(const std::filesystem::path& dir);
/// Packs that are not in `settled` (a line each, without suffix, and others) are read through; those that are damaged are removed. The others, without suffix.
result<std::vector<std::filesystem::path>> check_unsettled_packs(const std::filesystem::path& pack_dir, std::string_view settled);
/// Compares each pack with its index (sizes, object counts, checksums), without reading objects. Fails with `corrupt_cache`.
result<void> verify_packs(const std::filesystem::path& pack_dir);

/// Removes a pack and its index, the index first: a pack without it is debris, which the next to open the mirror removes.
result<void> remove_pack(const std::filesystem::path& pack);
/// Merges small packs into larger ones when there are many: sizes then grow from pack to pack at least by half, so that each byte is copied a logarithmic
/// number of times. At any instant every object is in a complete pack. Answers whether anything was merged.
result<bool> merge_packs(const std::filesystem::path& pack_dir, const cancel_token& cancel);
/// Merges all packs into one that holds `wanted` alone, and what these are differences from. As safe as `merge_packs`.
result<void> merge_wanted(const std::filesystem::path& pack_dir, const std::unordered_set<oid>& wanted, const cancel_token& cancel);
/// All objects that the refs lead to. Takes some 50 bytes of memory for each. Fails as `objects` does, and with `checksum_mismatch` when one of them cannot be understood.
result<std::unordered_set<oid>> reachable_objects(const ref_table& refs, logic::object_reader& objects, const cancel_token& cancel);

/// Initialises libgit2 once per process: bounded caches and mappings, no search for configuration files.
void ensure_libgit2();
/// What libgit2 last complained about on this thread. `fallback` is the class for what has none of its own.
[[nodiscard]] failure libgit2_failure(int code, std::string_view action, ec fallback);

} // namespace veranda::git
