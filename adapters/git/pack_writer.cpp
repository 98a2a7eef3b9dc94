#include "adapters/git/pack_writer.hpp"

#include "adapters/git/atomic_file.hpp"
#include "adapters/git/memory_bound.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <git2.h>

namespace veranda::git {

namespace {

/// The indexer remaps its file on every append: fewer, larger ones are faster.
constexpr std::size_t append_bytes = 1U << 20U;
constexpr std::chrono::milliseconds report_interval{100};
constexpr std::size_t head_bytes = 12;

void begin_call() noexcept {
  git_error_clear();
  errno = 0;
}

/// Of a call that `begin_call` preceded. One that fails without a word does so because the system failed it, not because of what was received.
failure indexer_failure(int code, std::string_view action) {
  const int error = errno;
  const auto* last = git_error_last();
  if (last != nullptr && last->klass != GIT_ERROR_NONE) return libgit2_failure(code, action, ec::checksum_mismatch);
  return {ec::unavailable, std::string{action} + " failed: " + (error != 0 ? std::strerror(error) : "the file cannot be written"), {}, {}, {}};
}

} // namespace

struct pack_writer::state {
  git_indexer* indexer = nullptr;
  git_indexer_progress stats{};
  const cancel_token* cancel = nullptr;

  ~state() { git_indexer_free(indexer); }
  static int on_progress(const git_indexer_progress*, void* self) {
    const auto* cancel = static_cast<state*>(self)->cancel;
    return cancel != nullptr && cancel->expired() ? GIT_EUSER : 0;
  }
};

pack_writer::pack_writer(disk_mirror& into, const transport_limits& limits, const progress_function& progress)
    : into_(into), limits_(limits), progress_(progress), state_(std::make_unique<state>()) {}

pack_writer::~pack_writer() = default;

result<void> pack_writer::append(std::string_view bytes) {
  bytes_ += bytes.size();
  if (limits_.max_mirror_bytes != 0 && bytes_ + into_.pack_bytes() > limits_.max_mirror_bytes)
    return failure{ec::too_large,
                   "the mirror of this remote would take more than the " + std::to_string(limits_.max_mirror_bytes) +
                     " bytes that one may take, half of what all may; raise --mirror-max-bytes, or make the repository smaller",
                   {}, {}, {}};
  if (bytes_ > limits_.max_pack_bytes)
    return failure{ec::too_large, "the pack is larger than the " + std::to_string(limits_.max_pack_bytes) + " bytes allowed; raise --max-pack-bytes", {}, {}, {}};
  pending_.append(bytes);
  return pending_.size() >= append_bytes ? flush() : result<void>{};
}

/// The indexer believes the number of objects in the pack's head and makes room for them.
result<void> pack_writer::begin() {
  std::uint64_t objects = 0;
  for (std::size_t at = 8; at < std::min(pending_.size(), head_bytes); ++at) objects = objects << 8U | static_cast<unsigned char>(pending_[at]);
  if (objects > limits_.max_pack_objects)
    return failure{ec::too_large, "the pack holds more than the " + std::to_string(limits_.max_pack_objects) + " objects allowed; raise --max-pack-objects", {}, {}, {}};
  git_indexer_options options = GIT_INDEXER_OPTIONS_INIT;
  options.progress_cb = &state::on_progress;
  options.progress_cb_payload = state_.get();
  const auto dir = into_.pack_dir().string();
  const int code = git_indexer_new(&state_->indexer, dir.c_str(), 0600, into_.odb(), &options);
  return code < 0 ? result<void>{libgit2_failure(code, "opening a new pack", ec::unavailable)} : result<void>{};
}

result<void> pack_writer::flush() {
  auto& s = *state_;
  if (s.indexer == nullptr)
    if (auto begun = begin(); !begun) return begun;
  begin_call();
  const int code = git_indexer_append(s.indexer, pending_.data(), pending_.size(), &s.stats);
  pending_.clear();
  if (code < 0) return indexer_failure(code, "reading the received pack");
  report();
  return {};
}

void pack_writer::report() {
  objects_ = state_->stats.received_objects;
  const auto now = std::chrono::steady_clock::now();
  if (!progress_ || now - reported_ < report_interval) return;
  reported_ = now;
  progress_(bytes_, objects_);
}

result<void> pack_writer::commit(const cancel_token& cancel) {
  auto& s = *state_;
  if (!pending_.empty())
    if (auto flushed = flush(); !flushed) return flushed;
  if (s.indexer == nullptr) return failure{ec::unavailable, "the server sent no pack", {}, {}, {}};
  if (s.stats.total_objects == 0) return {};
  s.cancel = &cancel;
  const memory_bound bound{limits_.max_object_memory};
  begin_call();
  if (const int code = git_indexer_commit(s.indexer, &s.stats); code < 0) {
    if (bound.exceeded())
      return failure{ec::too_large,
                     "the pack holds an object, stored as a difference, that needs more than " + std::to_string(limits_.max_object_memory) +
                       " bytes of memory to be made; raise --max-object-memory, or remove such large files from the repository's history",
                     {}, {}, {}};
    if (cancel.expired()) return failure{cancel.reason(), "indexing the received pack was stopped", {}, {}, {}};
    auto f = indexer_failure(code, "completing the received pack");
    if (f.code == ec::not_found) f.code = ec::checksum_mismatch; // no such base: not here, where it was said to be, nor in the pack
    return f;
  }
  objects_ = s.stats.total_objects;
  if (progress_) progress_(bytes_, objects_);
  const auto base = into_.pack_dir() / ("pack-" + std::string{git_indexer_name(s.indexer)});
  return into_.add_pack(base);
}

} // namespace veranda::git
