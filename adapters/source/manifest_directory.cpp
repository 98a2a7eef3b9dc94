#include "adapters/source/manifest_directory.hpp"

#include "adapters/codec/names.hpp"
#include "adapters/source/directory_watch.hpp"
#include "adapters/source/manifest_file.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <set>
#include <thread>

#include <dirent.h>
#include <fcntl.h>

namespace veranda::source {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using object_id = std::pair<std::string, object_key>;

constexpr auto shortest_check = 1s;     ///< between two looks at all files while no event comes
constexpr auto missing_poll = 200ms;    ///< while there is no directory to watch
constexpr std::int64_t coarse_clock_ns = 2'000'000'000; ///< file systems that keep whole seconds

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

object_id id_of(const manifest_object& o) { return {o.resource, o.key}; }

/// What is known of one file.
struct tracked_file {
  file_signature signature;
  bool read_once = false;
  bool recheck = false; ///< its timestamps are too coarse to tell a change so soon after the last
  std::vector<manifest_object> good;
  std::vector<manifest_problem> problems;
  bool broken = false;
  bool exposed = false; ///< every user of this machine can read it
};

struct listing {
  std::map<std::string, result<file_signature>> files;
  int error = 0; ///< errno when the directory could not be listed
  bool too_many = false;
};

struct closing_dir {
  void operator()(DIR* d) const { ::closedir(d); }
};

listing list_directory(const std::filesystem::path& dir, std::uint32_t max_files) {
  listing out;
  const std::unique_ptr<DIR, closing_dir> stream{::opendir(dir.c_str())};
  if (!stream) {
    out.error = errno;
    return out;
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name{static_cast<const char*>(entry->d_name)};
    if (!manifest_name(name) || entry->d_type == DT_DIR)
      continue;
    if (out.files.size() >= max_files) {
      out.too_many = true;
      return out;
    }
    out.files.emplace(name, stat_file(::dirfd(stream.get()), name));
    errno = 0;
  }
  out.error = errno;
  return out;
}

bool resting(const file_signature& s, std::int64_t now, std::chrono::nanoseconds settle_time) {
  const std::int64_t age = now - s.changed_ns;
  return age >= settle_time.count() || age < -1'000'000'000; // a clock that was set back proves nothing
}

/// Keeps of the last good objects those that the new reading broke or could not find.
std::vector<manifest_object> keep_good(std::vector<manifest_object> fresh, bool broken, const std::vector<manifest_object>& last) {
  std::map<object_id, const manifest_object*> before;
  for (const auto& o : last)
    before.emplace(id_of(o), &o);
  std::set<object_id> seen;
  std::vector<manifest_object> out;
  for (auto& o : fresh) {
    const auto id = id_of(o);
    seen.insert(id);
    const auto good = before.find(id);
    if (!o.valid && good != before.end())
      out.push_back(*good->second);
    else
      out.push_back(std::move(o));
  }
  if (broken)
    for (const auto& o : last)
      if (!seen.contains(id_of(o)))
        out.push_back(o);
  return out;
}

class inotify_manifest_directory final : public manifest_directory {
public:
  inotify_manifest_directory(std::filesystem::path dir, const manifest_limits& limits, std::string secret_key)
      : dir_(std::move(dir)), limits_(limits), secret_key_(std::move(secret_key)), watch_(dir_) {}

  manifest_state scan() override {
    try {
      const auto began = steady::now();
      for (;;) {
        if (look(false))
          break;
        if (steady::now() - began >= limits_.longest_settling) {
          look(true);
          break;
        }
        std::this_thread::sleep_for(10ms);
      }
      return assemble();
    } catch (const std::exception& e) { // out of memory
      manifest_state out;
      out.incomplete = true;
      out.problems.push_back({.file = {}, .document = 0, .object = {}, .field = {}, .value = {}, .rule = std::string{"cannot be read: "} + e.what()});
      return out;
    }
  }

  bool wait(std::chrono::milliseconds wait) override {
    const auto deadline = steady::now() + wait;
    watch_.refresh();
    for (;;) {
      if (pending_)
        return settle();
      const auto now = steady::now();
      const auto slice = std::min(deadline, std::max(next_check_, now)) - now;
      if (watch_.wait(std::chrono::ceil<std::chrono::milliseconds>(slice)))
        return settle();
      if (interrupted_)
        return false;
      if (steady::now() >= next_check_ && moved())
        return settle();
      if (steady::now() >= deadline)
        return false;
    }
  }

  void interrupt() override {
    interrupted_ = true;
    watch_.interrupt();
  }

private:
  /// Lets the writers finish: until nothing happens for a moment.
  bool settle() {
    const auto began = steady::now();
    while (steady::now() - began < limits_.longest_settling && watch_.wait(limits_.settle_time)) {
    }
    pending_ = false;
    next_check_ = steady::now();
    return true;
  }

  /// Whether the directory looks different from what was read, events or not.
  bool moved() {
    const auto began = steady::now();
    watch_.refresh();
    const listing now = list_directory(dir_, limits_.max_files);
    const auto cost = steady::now() - began;
    next_check_ = steady::now() + (now.error != 0 ? steady::duration{missing_poll} : std::max<steady::duration>(shortest_check, 20 * cost));
    if (now.error != listing_error_ || now.too_many != too_many_)
      return true;
    if (now.error != 0)
      return false;
    return !std::equal(now.files.begin(), now.files.end(), files_.begin(), files_.end(), [](const auto& seen, const auto& known) {
      return seen.first == known.first && (!seen.second ? known.second.broken : *seen.second == known.second.signature && !known.second.recheck);
    });
  }

  /// Reads what changed. False when something is still being written; then nothing of that was taken, unless it is the `last` look: files that
  /// went are taken as gone, files that never rest as unreadable for now.
  bool look(bool last) {
    watch_.refresh();
    watch_.drain();
    listing now = list_directory(dir_, limits_.max_files);
    listing_error_ = now.error;
    too_many_ = now.too_many;
    next_check_ = steady::now() + (now.error != 0 ? steady::duration{missing_poll} : steady::duration{shortest_check});
    pending_ = false;
    if (now.error != 0)
      return true;
    bool settled = drop_missing(now);
    for (const auto& [name, signature] : now.files)
      settled = examine(name, signature, last) && settled;
    return settled;
  }

  /// Forgets files that are gone; one that was there in the last look gets a moment to come back (editors move it aside first).
  bool drop_missing(const listing& now) {
    if (now.too_many)
      return true;
    bool settled = true;
    for (auto it = files_.begin(); it != files_.end();) {
      if (now.files.contains(it->first)) {
        missing_since_.erase(it->first);
        ++it;
        continue;
      }
      const auto since = missing_since_.emplace(it->first, steady::now()).first;
      if (steady::now() - since->second < limits_.settle_time) {
        settled = false;
        ++it;
        continue;
      }
      missing_since_.erase(since);
      it = files_.erase(it);
    }
    return settled;
  }

  bool examine(const std::string& name, const result<file_signature>& signature, bool last) {
    if (!signature) {
      fail(files_[name], name, signature.error());
      return true;
    }
    const auto known = files_.find(name);
    if (known != files_.end() && known->second.read_once && !known->second.recheck && known->second.signature == *signature)
      return true;
    if (resting(*signature, now_ns(), limits_.settle_time)) {
      const process::descriptor dir{::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
      const auto text = read_file(dir.get(), name, limits_.max_file_bytes);
      if (text) {
        take(files_[name], name, *text);
        return true;
      }
      if (text.error().code != ec::conflict) {
        auto& file = files_[name];
        fail(file, name, text.error());
        file.signature = *signature;
        file.read_once = text.error().code == ec::too_large; // that will not change by itself
        return true;
      }
    }
    if (last) {
      fail(files_[name], name, {ec::conflict, "is being written", name, {}, std::nullopt});
      pending_ = true;
    }
    return false;
  }

  void take(tracked_file& file, const std::string& name, const file_text& text) {
    manifest_file fresh = read_manifest(text.text, name, limits_, secret_key_);
    file.good = keep_good(std::move(fresh.objects), fresh.broken, file.good);
    file.problems = std::move(fresh.problems);
    file.broken = fresh.broken;
    file.signature = text.signature;
    file.read_once = true;
    file.exposed = text.readable_by_others;
    file.recheck = text.signature.changed_ns % 1'000'000'000 == 0 && now_ns() - text.signature.changed_ns < coarse_clock_ns;
  }

  static void fail(tracked_file& file, const std::string& name, const failure& why) {
    file.broken = true;
    file.read_once = false;
    file.problems = {{.file = name, .document = 0, .object = {}, .field = {}, .value = {}, .rule = why.what}};
  }

  [[nodiscard]] manifest_state assemble() const {
    manifest_state out;
    out.directory_missing = listing_error_ == ENOENT || listing_error_ == ENOTDIR;
    out.incomplete = too_many_ || (listing_error_ != 0 && !out.directory_missing);
    if (listing_error_ != 0)
      out.problems.push_back(of_directory("the manifest directory " + dir_.string() + " cannot be read: " + std::strerror(listing_error_)));
    if (too_many_)
      out.problems.push_back(of_directory("the manifest directory " + dir_.string() + " has more than " + std::to_string(limits_.max_files) + " files"));
    std::map<object_id, const manifest_object*> chosen;
    for (const auto& [name, file] : files_) {
      out.problems.insert(out.problems.end(), file.problems.begin(), file.problems.end());
      if (file.broken)
        out.unreadable_files.push_back(name);
      if (file.exposed && std::ranges::any_of(file.good, [](const manifest_object& o) { return o.resource == secrets_resource; }))
        out.exposed_files.emplace(name, file.signature.changed_ns);
      for (const auto& o : file.good)
        if (const auto [first, is_new] = chosen.emplace(id_of(o), &o); !is_new)
          out.problems.push_back(duplicate(o, *first->second));
    }
    out.objects.reserve(chosen.size());
    for (const auto& [id, object] : chosen)
      out.objects.push_back(*object);
    std::sort(out.problems.begin(), out.problems.end());
    return out;
  }

  static manifest_problem of_directory(std::string rule) { return {.file = {}, .document = 0, .object = {}, .field = {}, .value = {}, .rule = std::move(rule)}; }

  static manifest_problem duplicate(const manifest_object& o, const manifest_object& first) {
    const std::string kind = o.resource == secrets_resource ? "Secret " : "Repository ";
    return {.file = o.file,
            .document = o.document,
            .object = kind + codec::shorten(to_string(o.key)),
            .field = "metadata.name",
            .value = codec::shorten(o.key.name),
            .rule = "is given before, in " + first.file + " (document " + std::to_string(first.document) + "), which counts"};
  }

  std::filesystem::path dir_;
  manifest_limits limits_;
  std::string secret_key_;
  directory_watch watch_;
  std::atomic<bool> interrupted_{false};
  std::map<std::string, tracked_file> files_; ///< by name: the first file wins
  std::map<std::string, steady::time_point> missing_since_;
  int listing_error_ = 0;
  bool too_many_ = false;
  bool pending_ = true; ///< a scan is worth it whatever the events say
  steady::time_point next_check_{};
};

} // namespace

std::string describe(const manifest_problem& p) {
  std::string out = p.file;
  if (p.document > 0)
    out += (out.empty() ? "document " : ": document ") + std::to_string(p.document);
  for (const std::string* part : {&p.object, &p.field})
    if (!part->empty())
      out += (out.empty() ? "" : ": ") + *part;
  if (!p.value.empty())
    out += (out.empty() ? "\"" : ": \"") + p.value + "\"";
  return out + (out.empty() ? "" : ": ") + p.rule;
}

std::unique_ptr<manifest_directory> open_manifest_directory(const std::filesystem::path& dir, const manifest_limits& limits, std::string secret_key) {
  return std::make_unique<inotify_manifest_directory>(dir, limits, std::move(secret_key));
}

result<secret_bytes> read_secret(const std::filesystem::path& dir, const std::string& file, const object_key& key, const manifest_limits& limits) {
  const failure gone{ec::dependency_missing, "is not in the manifest directory", "Secret " + to_string(key), {}, std::nullopt};
  if (!manifest_name(file))
    return gone;
  try {
    const process::descriptor fd{::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    auto text = read_file(fd.get(), file, limits.max_file_bytes);
    if (!text && text.error().code == ec::not_found)
      return gone;
    if (!text)
      return failure{ec::unavailable, "its file " + text.error().what, "Secret " + to_string(key), {}, std::nullopt};
    auto found = find_secret(text->text, file, key, limits);
    return found ? *std::move(found) : gone;
  } catch (const std::exception& e) {
    return failure{ec::unavailable, std::string{"cannot be read: "} + e.what(), "Secret " + to_string(key), {}, std::nullopt};
  }
}

} // namespace veranda::source
