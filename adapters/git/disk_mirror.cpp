#include "adapters/git/disk_mirror.hpp"

#include "adapters/git/atomic_file.hpp"
#include "adapters/git/memory_bound.hpp"
#include "adapters/git/packed_refs.hpp"
#include "adapters/git/ref_listing.hpp"

#include <algorithm>
#include <charconv>
#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <limits>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace veranda::git {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view identity_file = "veranda-identity";
constexpr std::string_view lock_file = "veranda-lock";
constexpr std::string_view gone_mark = ".gone-";
constexpr std::string_view index_file = "veranda-index";
constexpr std::string_view settled_file = "veranda-packs"; ///< names of the packs that are on the disk, and `whole_line`
constexpr std::string_view whole_line = "whole ";              ///< `whole_bytes_` of the mirror follow
constexpr int lock_tries = 5;
constexpr std::chrono::milliseconds lock_pause{5};
constexpr std::string_view bare_config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
constexpr std::uint64_t little_memory = 64U << 20U;
constexpr std::string_view default_head = "refs/heads/main";

git_oid to_git(const oid& id) {
  git_oid out;
  git_oid_fromraw(&out, id.bytes.data());
  return out;
}

failure missing(const oid& id) { return {ec::not_found, "object " + id.hex() + " is missing from the mirror; it is fetched again", {}, {}, {}}; }

failure too_large(const oid& id, std::uint64_t max_bytes) {
  return {ec::too_large, "object " + id.hex() + " is larger than " + std::to_string(max_bytes) + " bytes", {}, {}, {}};
}

/// An object, the object it is a difference from, and the difference.
std::uint64_t three_times(std::uint64_t bytes) { return 3 * std::min(bytes, std::numeric_limits<std::uint64_t>::max() / 3); }

result<logic::git_object_type> type_of(git_object_t type) {
  if (type < GIT_OBJECT_COMMIT || type > GIT_OBJECT_TAG) return failure{ec::corrupt_cache, "an object of the mirror has an unknown type", {}, {}, {}};
  return static_cast<logic::git_object_type>(type);
}

/// What an object's hash is taken of before its bytes.
std::string object_head(const logic::git_object& object) {
  std::string out{git_object_type2string(static_cast<git_object_t>(object.type))};
  out.append(1, ' ').append(std::to_string(object.data.size())).append(1, '\0');
  return out;
}

struct odb_object_deleter {
  void operator()(git_odb_object* o) const noexcept { git_odb_object_free(o); }
};

} // namespace

void odb_deleter::operator()(git_odb* odb) const noexcept { git_odb_free(odb); }

mirror_lock::~mirror_lock() {
  if (fd_ >= 0) ::close(fd_);
}

result<mirror_lock> mirror_lock::take(const fs::path& dir) {
  const auto file = dir / lock_file;
  mirror_lock out;
  out.fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (out.fd_ < 0) return file_failure("locking the mirror", file, errno);
  const failure in_use{ec::unavailable, "the mirror is still in use by another job; it is tried again later", dir.string(), {}, {}};
  if (::flock(out.fd_, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? in_use : file_failure("locking the mirror", file, errno);
  struct stat ours {}, there {};
  if (::fstat(out.fd_, &ours) != 0 || ::stat(file.c_str(), &there) != 0 || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
    return in_use; // it was removed in between
  return out;
}

result<mirror_lock> mirror_lock::take_or_make(const fs::path& dir) {
  for (int tries = 1;; ++tries) {
    std::error_code error;
    if (fs::create_directories(dir, error); error) return file_failure("creating the mirror", dir, error.value());
    auto lock = take(dir);
    if (lock && ::futimens(lock->fd_, nullptr) != 0) return file_failure("locking the mirror", dir / lock_file, errno);
    if (lock || tries == lock_tries) return lock;
    std::this_thread::sleep_for(lock_pause);
  }
}

result<std::unique_ptr<disk_mirror>> disk_mirror::open(const fs::path& dir, const std::string& identity, std::uint64_t max_object_memory) {
  ensure_libgit2();
  std::unique_ptr<disk_mirror> out{new disk_mirror{fs::absolute(dir), max_object_memory}};
  auto& m = *out;
  if (auto done = m.check_identity(identity); !done) return std::move(done).error();
  auto lock = mirror_lock::take_or_make(m.dir_);
  if (!lock) return std::move(lock).error();
  m.lock_ = *std::move(lock);
  if (auto done = m.create(identity); !done) return std::move(done).error();
  if (auto done = scrub_mirror(m.dir_); !done) return std::move(done).error();
  if (auto done = m.look_at_packs(); !done) return std::move(done).error();
  if (auto done = m.load_refs(); !done) return std::move(done).error();
  if (auto done = m.open_odb(); !done) return std::move(done).error();
  m.count_packs();
  return out;
}

result<void> disk_mirror::check_identity(const std::string& identity) {
  std::error_code error;
  auto found = read_file(dir_ / identity_file);
  if (!found) return std::move(found).error();
  if (*found && **found != identity + "\n") return failure{ec::conflict, "the directory holds the mirror of another remote", dir_.string(), {}, {}};
  if (!*found && fs::exists(dir_ / "objects", error)) return failure{ec::conflict, "the directory holds a repository that is not a mirror of ours", dir_.string(), {}, {}};
  return {};
}

/// Once there is a configuration, all that is made before it is on the disk.
result<void> disk_mirror::create(const std::string& identity) {
  std::error_code error;
  for (const auto& part : {dir_, dir_ / "refs", dir_ / "objects" / "info", dir_ / "objects" / "pack"}) {
    if (part == dir_ / "refs" && !fs::exists(dir_ / identity_file, error))
      if (auto done = replace_file(dir_ / identity_file, identity + "\n"); !done) return done;
    fs::create_directories(part, error);
    if (error) return file_failure("creating the mirror", part, error.value());
  }
  fs::permissions(dir_, fs::perms::owner_all, error);
  if (!fs::exists(dir_ / "HEAD", error))
    if (auto done = replace_file(dir_ / "HEAD", "ref: " + std::string{default_head} + "\n", durability::whole); !done) return done;
  if (fs::exists(dir_ / "config", error)) return {};
  for (const auto& folder : {dir_ / "objects", dir_, dir_.parent_path(), dir_.parent_path().parent_path()})
    if (auto synced = sync_path(folder); !synced) return synced;
  return replace_file(dir_ / "config", bare_config);
}

/// What a power cut may have left of a pack is as large as it was, and not what it was: one that is not known to be on the disk is read through, and removed when it
/// is damaged. No ref on the disk needs it.
result<void> disk_mirror::look_at_packs() {
  auto listed = read_file(dir_ / settled_file);
  if (!listed) return std::move(listed).error();
  const auto text = listed->value_or("");
  if (const auto at = text.find(whole_line); at != std::string::npos) std::from_chars(text.data() + at + whole_line.size(), text.data() + text.size(), whole_bytes_);
  auto unsettled = check_unsettled_packs(pack_dir(), text);
  if (!unsettled) return std::move(unsettled).error();
  new_packs_ = *std::move(unsettled);
  return verify_packs(pack_dir());
}

result<void> disk_mirror::load_refs() {
  auto packed = read_file(dir_ / "packed-refs");
  if (!packed) return std::move(packed).error();
  auto head = read_file(dir_ / "HEAD");
  if (!head) return std::move(head).error();
  auto table = parse_packed_refs(packed->value_or(""));
  if (!table) return std::move(table).error();
  const auto text = head->value_or("");
  if (*packed && text.starts_with("ref: ") && text.ends_with('\n')) table->head_target = text.substr(5, text.size() - 6);
  refs_ = std::make_shared<const ref_table>(*std::move(table));
  return {};
}

result<void> disk_mirror::open_odb() {
  git_odb* odb = nullptr;
  if (const int code = git_odb_new(&odb); code < 0) return libgit2_failure(code, "opening the object database", ec::corrupt_cache);
  odb_.reset(odb);
  git_odb_backend* packs = nullptr;
  int code = git_odb_backend_pack(&packs, (dir_ / "objects").c_str());
  if (code == 0 && (code = git_odb_add_backend(odb, packs, 1)) < 0) packs->free(packs);
  return code < 0 ? result<void>{libgit2_failure(code, "opening the object database", ec::corrupt_cache)} : result<void>{};
}

result<void> disk_mirror::add_pack(const fs::path& without_suffix) {
  new_packs_.push_back(without_suffix);
  count_packs();
  const int code = git_odb_refresh(odb_.get());
  return code < 0 ? result<void>{libgit2_failure(code, "reading the new pack", ec::corrupt_cache)} : result<void>{};
}

void disk_mirror::count_packs() {
  pack_count_ = 0;
  pack_bytes_ = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pack_dir(), error)) {
    if (entry.path().extension() != ".pack") continue;
    ++pack_count_;
    std::error_code gone;
    if (const auto bytes = entry.file_size(gone); !gone) pack_bytes_ += bytes;
  }
}

void disk_mirror::replace_refs(const ref_table& table) {
  if (table == *refs_ && new_packs_.empty()) return;
  const bool changed = table.refs != refs_->refs || refs_->refs.empty();
  const bool moved_head = !table.head_target.empty() && table.head_target != refs_->head_target && valid_ref_name(table.head_target);
  if (refs_->refs.empty() || whole_bytes_ == 0) whole_bytes_ = pack_bytes_;
  refs_ = std::make_shared<const ref_table>(table);
  start_writing(refs_, changed, moved_head ? table.head_target : std::string{});
}

/// Packs first: refs on the disk name objects on the disk.
void disk_mirror::start_writing(ref_table_ptr table, bool refs_changed, std::string head) {
  auto before = std::move(writing_);
  auto packs = std::exchange(new_packs_, {});
  writing_ = std::async(std::launch::async, [dir = dir_, packs = std::move(packs), settled = settled_packs(), table = std::move(table), refs_changed, head = std::move(head),
                                             before = std::move(before)]() mutable -> result<void> {
    if (before.valid())
      if (auto done = before.get(); !done) return done;
    for (const auto& pack : packs)
      for (const char* suffix : {".pack", ".idx"})
        if (auto synced = sync_path(pack.string() + suffix); !synced) return synced;
    if (!packs.empty())
      if (auto synced = sync_path(dir / "objects" / "pack"); !synced) return synced;
    if (!packs.empty()) // damaged, it names fewer packs, and more are read through
      if (auto done = replace_file(dir / settled_file, settled, durability::eventual); !done) return done;
    if (refs_changed)
      if (auto done = replace_file(dir / "packed-refs", render_packed_refs(*table), durability::whole); !done) return done;
    return head.empty() ? result<void>{} : replace_file(dir / "HEAD", "ref: " + head + "\n", durability::whole);
  });
}

result<void> disk_mirror::settle() {
  try {
    return writing_.valid() ? writing_.get() : result<void>{};
  } catch (const std::exception& e) {
    return failure{ec::unavailable, std::string{"bringing the mirror to the disk failed: "} + e.what(), dir_.string(), {}, {}};
  }
}

result<void> disk_mirror::tidy(const cancel_token& cancel) {
  if (auto settled = settle(); !settled) return settled;
  auto merged = logic::outgrown(pack_bytes_, whole_bytes_) ? merge_all(cancel) : merge_packs(pack_dir(), cancel);
  if (!merged) return std::move(merged).error();
  if (!*merged) return {};
  count_packs();
  if (auto done = replace_file(dir_ / settled_file, settled_packs(), durability::eventual); !done) return done;
  return open_odb();
}

/// Refs on the disk may still be older ones, with objects that are about to go: the directory that names them is brought there first. What cannot be done, unless the sync was
/// stopped, waits until the packs have doubled once more.
result<bool> disk_mirror::merge_all(const cancel_token& cancel) {
  const auto merged = [&]() -> result<void> {
    if (auto synced = sync_path(dir_); !synced) return synced;
    auto wanted = reachable_objects(*refs_, *this, cancel);
    if (!wanted) return std::move(wanted).error();
    return merge_wanted(pack_dir(), *wanted, cancel);
  }();
  if (!merged && merged.error().code == ec::cancelled) return merged.error();
  count_packs();
  whole_bytes_ = pack_bytes_;
  if (merged) return true;
  if (auto noted = replace_file(dir_ / settled_file, settled_packs(), durability::eventual); !noted) return noted.error();
  return merged.error();
}

/// The names of all packs but those that are not known to be on the disk, a line each.
std::string disk_mirror::settled_packs() const {
  std::string names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(pack_dir(), error)) {
    const auto stem = entry.path().parent_path() / entry.path().stem();
    if (entry.path().extension() == ".pack" && std::find(new_packs_.begin(), new_packs_.end(), stem) == new_packs_.end()) names += stem.filename().string() + "\n";
  }
  return names.append(whole_line).append(std::to_string(whole_bytes_)).append(1, '\n');
}

bool disk_mirror::contains(const oid& id) {
  const auto raw = to_git(id);
  return git_odb_exists_ext(odb_.get(), &raw, GIT_ODB_LOOKUP_NO_REFRESH) == 1;
}

result<logic::git_object_header> disk_mirror::header(const oid& id) {
  const auto raw = to_git(id);
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  const int code = git_odb_read_header(&size, &type, odb_.get(), &raw);
  if (code == GIT_ENOTFOUND) return missing(id);
  if (code < 0) return libgit2_failure(code, "reading object " + id.hex(), ec::corrupt_cache);
  auto known = type_of(type);
  if (!known) return std::move(known).error();
  return logic::git_object_header{*known, size};
}

/// Most objects need little: only one that does not is looked at before more is spent on it.
result<logic::git_object> disk_mirror::read(const oid& id, std::uint64_t max_bytes) {
  bool exceeded = false;
  const auto enough = three_times(max_bytes);
  auto object = read_within(std::max(little_memory, enough), id, max_bytes, exceeded);
  if (!exceeded) return object;
  auto known = header(id);
  if (!known) return std::move(known).error();
  if (known->size_bytes > max_bytes) return too_large(id, max_bytes);
  exceeded = false;
  const auto most = std::max(max_object_memory_, enough);
  object = read_within(most, id, max_bytes, exceeded);
  if (!exceeded) return object;
  return failure{ec::too_large, "object " + id.hex() + " is stored as a difference and needs more than " + std::to_string(most) + " bytes of memory to be made; raise --max-object-memory", {}, {}, {}};
}

result<logic::git_object> disk_mirror::read_within(std::uint64_t memory, const oid& id, std::uint64_t max_bytes, bool& exceeded) {
  const auto raw = to_git(id);
  const memory_bound bound{memory};
  git_odb_object* read = nullptr;
  const int code = git_odb_read(&read, odb_.get(), &raw);
  if (code == GIT_ENOTFOUND) return missing(id);
  exceeded = code < 0 && bound.exceeded();
  if (code < 0) return libgit2_failure(code, "reading object " + id.hex(), ec::corrupt_cache);
  const std::unique_ptr<git_odb_object, odb_object_deleter> object{read};
  auto known = type_of(git_odb_object_type(read));
  if (!known) return std::move(known).error();
  const auto size = git_odb_object_size(read);
  if (size > max_bytes) return too_large(id, max_bytes);
  logic::git_object out{*known, std::string(static_cast<const char*>(git_odb_object_data(read)), size)};
  hasher_.update(object_head(out));
  hasher_.update(out.data);
  if (hasher_.finish() != id.bytes) return failure{ec::checksum_mismatch, "object " + id.hex() + " of the mirror is damaged", {}, {}, {}};
  return out;
}

std::string disk_mirror::load_index() {
  auto found = read_file(dir_ / index_file);
  return found && *found ? **std::move(found) : std::string{};
}

result<void> disk_mirror::save_index(std::string_view image) { return replace_file(dir_ / index_file, image, durability::eventual); }

result<std::unique_ptr<mirror>> open_mirror(const fs::path& dir, const std::string& identity, std::uint64_t max_object_memory) {
  try {
    auto opened = disk_mirror::open(dir, identity, max_object_memory);
    if (!opened) return std::move(opened).error();
    return std::unique_ptr<mirror>{*std::move(opened)};
  } catch (const fs::filesystem_error& e) {
    return file_failure("opening the mirror", dir, e.code().value());
  }
}

std::optional<logic::mirror_use> measure_mirror(const fs::path& dir) {
  struct stat lock {};
  if (dir.filename().string().find(gone_mark) != std::string::npos || ::stat((dir / lock_file).c_str(), &lock) != 0) return std::nullopt;
  logic::mirror_use use;
  use.name = dir.filename().string();
  use.last_used = wall_time{std::chrono::duration_cast<wall_time::duration>(std::chrono::seconds{lock.st_mtim.tv_sec} + std::chrono::nanoseconds{lock.st_mtim.tv_nsec})};
  if (auto identity = read_file(dir / identity_file); identity && *identity && !(*identity)->empty()) use.remote = (*identity)->substr(0, (*identity)->size() - 1);
  std::error_code error; // what goes away meanwhile takes nothing
  for (auto file = fs::recursive_directory_iterator{dir, error}; !error && file != fs::recursive_directory_iterator{}; file.increment(error)) {
    std::error_code gone;
    if (const auto bytes = file->is_regular_file(gone) ? file->file_size(gone) : 0; !gone) use.bytes += bytes;
  }
  return use;
}

result<void> remove_mirror(const fs::path& dir) {
  std::error_code error;
  if (!fs::exists(dir, error)) return {};
  mirror_lock held; // until it has another name, and nobody can take it for the mirror
  if (fs::is_directory(dir, error)) {
    auto lock = mirror_lock::take(dir);
    if (!lock) return std::move(lock).error();
    held = *std::move(lock);
  }
  // Renamed first: a removal that is cut off leaves debris that nobody takes for a mirror.
  auto gone = dir;
  if (dir.filename().string().find(gone_mark) == std::string::npos) {
    for (unsigned n = 0; fs::exists(gone, error); ++n) gone = dir.string() + std::string{gone_mark} + std::to_string(n);
    if (fs::rename(dir, gone, error); error) return file_failure("removing the mirror", dir, error.value());
  }
  fs::remove_all(gone, error);
  return error ? result<void>{file_failure("removing the mirror", dir, error.value())} : result<void>{};
}

} // namespace veranda::git
