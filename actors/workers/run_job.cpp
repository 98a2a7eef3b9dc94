#include "actors/common/endpoint.hpp"
#include "actors/common/log.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "actors/logic/remote_refs.hpp"
#include "actors/workers/content_stream.hpp"
#include "actors/workers/file_losses.hpp"
#include "actors/workers/job_objects.hpp"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

namespace veranda {

namespace {

using clock = std::chrono::steady_clock;

std::chrono::microseconds since(clock::time_point began) { return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began); }

result<msg::job_result> run_list(const msg::job& job, const job_tools& tools) {
  auto endpoint = resolve_endpoint(*tools.secrets, job.remote);
  if (!endpoint)
    return endpoint.error();
  auto listed = tools.git->list_refs(*endpoint, job.prefixes, job.known_digest, *job.cancel);
  if (!listed)
    return listed.error();
  return msg::job_result{std::make_shared<const git::listing>(std::move(*listed)), nullptr};
}

bool is_damage(const failure& f) { return f.code == ec::not_found || f.code == ec::checksum_mismatch; }

/// A mirror is a copy of what the remote has: outside a job `corrupt_cache` means the package cache, and nothing else.
failure of_mirror(failure f) {
  if (f.code == ec::corrupt_cache)
    f.code = ec::checksum_mismatch;
  return f;
}

/// A mirror's objects; notices when one is missing or damaged.
class watched_objects final : public logic::object_reader {
public:
  explicit watched_objects(logic::object_reader& objects) : objects_(objects) {}
  result<logic::git_object> read(const oid& id, std::uint64_t max_bytes) override { return noticed(objects_.read(id, max_bytes)); }
  result<logic::git_object_header> header(const oid& id) override { return noticed(objects_.header(id)); }
  [[nodiscard]] bool found_damage() const noexcept { return damaged_; }

private:
  template <class T>
  T noticed(T answer) {
    if (answer)
      return answer;
    auto f = of_mirror(std::move(answer).error());
    damaged_ = damaged_ || is_damage(f);
    return f;
  }
  logic::object_reader& objects_;
  bool damaged_ = false;
};

/// One sync on a worker: the steps share the mirror, the index and what is to be reported.
class sync_run_on_mirror {
public:
  sync_run_on_mirror(const msg::job& job, const job_tools& tools, const progress_report& progress)
      : job_(job), tools_(tools), progress_(progress), out_(std::make_shared<msg::sync_result>()) {}

  result<msg::job_result> run() {
    if (!job_.sync.target->find("refs/heads/" + job_.sync.spec->git->branch))
      return create_branch();
    if (auto opened = open(); !opened)
      return opened.error();
    auto done = bring_in_step(false);
    if (!done && done.error().code == ec::not_found && outran_mirror())
      return failure{ec::conflict, "the refs moved while the sync waited; they are listed again", job_.remote.url, {}, {}};
    if (!done && met_damage(done.error())) { // only a copy: made anew, once
      log::warn(worker_state::name, "the mirror is damaged and is fetched anew", {{"remote", job_.remote.url}, {"err", describe(done.error())}});
      if (auto anew = make_anew(); !anew)
        return anew.error();
      done = bring_in_step(true);
      if (!done && met_damage(done.error()))
        return failure{ec::checksum_mismatch, "the pack that the remote sends lacks objects or holds damaged ones: " + done.error().what, job_.remote.url, {}, {}};
    }
    if (!done)
      return done.error();
    if (auto settled = mirror_->settle(); !settled)
      return settled.error();
    if (auto tidied = mirror_->tidy(*job_.cancel); !tidied) // the next sync tries again
      log::warn(worker_state::name, "the packs of a mirror could not be merged", {{"remote", job_.remote.url}, {"err", describe(tidied.error())}});
    return msg::job_result{nullptr, out_};
  }

private:
  /// Asked for by the object, and allowed by the operator: else no job comes without its branch.
  failure create_branch() {
    const auto& git = *job_.sync.spec->git;
    progress_("creating branch", git.branch);
    auto endpoint = resolve_endpoint(*tools_.secrets, job_.remote);
    if (!endpoint)
      return endpoint.error();
    if (auto made = tools_.git->create_branch(*endpoint, {git.branch, git.author, git.email}, *job_.cancel); !made)
      return made.error();
    log::info(worker_state::name, "a branch was created, as createBranch asks for", {{"repository", to_string(job_.sync.key)}, {"branch", git.branch}});
    return {ec::conflict, "the branch \"" + git.branch + "\" was created; the refs are listed again", {}, {}, {}};
  }

  result<void> open() {
    progress_("opening", job_.remote.url);
    auto opened = tools_.git->open_mirror(job_.mirror, to_string(job_.remote));
    if (!opened && opened.error().code == ec::corrupt_cache) {
      if (auto removed = tools_.git->remove_mirror(job_.mirror); !removed)
        return removed.error();
      opened = tools_.git->open_mirror(job_.mirror, to_string(job_.remote));
    }
    if (!opened)
      return of_mirror(opened.error());
    mirror_ = std::move(*opened);
    objects_.emplace(mirror_->objects());
    kept_.emplace(*objects_);
    index_ = {};
    if (job_.sync.full) // trusts nothing that was remembered
      return {};
    auto loaded = logic::discovery_index::load(mirror_->load_index());
    if (loaded)
      index_ = std::move(*loaded);
    return {};
  }

  /// Whether this failure comes of an object that is missing or damaged, in the mirror or in what was fetched on top of it.
  [[nodiscard]] bool met_damage(const failure& f) const { return is_damage(f) && (objects_->found_damage() || fetch_broke_); }

  /// A ref to be read has a target that the mirror was not asked to have.
  bool outran_mirror() {
    std::unordered_set<oid> had;
    for (const auto& ref : job_.mirror_target->refs)
      had.insert(ref.target);
    const auto wanted = logic::mirrored_refs(*job_.sync.target, {job_.sync.spec->git->branch});
    return std::any_of(wanted.refs.begin(), wanted.refs.end(), [&](const ref_entry& ref) { return !had.contains(ref.target) && !mirror_->contains(ref.target); });
  }

  result<void> make_anew() {
    kept_.reset();
    objects_.reset();
    mirror_.reset();
    fetch_broke_ = false;
    if (auto removed = tools_.git->remove_mirror(job_.mirror); !removed)
      return removed;
    return open();
  }

  /// Fetches when it must, finds what changed and stores it.
  result<void> bring_in_step(bool without_haves) {
    if (without_haves || mirror_->refs()->refs != job_.mirror_target->refs)
      if (auto fetched = fetch(without_haves); !fetched)
        return fetched;
    if (!cache_) {
      auto cache = tools_.open_cache();
      if (!cache)
        return cache.error();
      cache_ = std::move(*cache);
    }
    auto found = discover();
    if (!found)
      return found.error();
    return store(std::move(*found));
  }

  result<void> fetch(bool without_haves) {
    progress_("fetching", "");
    const auto began = clock::now();
    auto endpoint = resolve_endpoint(*tools_.secrets, job_.remote);
    if (!endpoint)
      return endpoint.error();
    auto report = tools_.git->fetch(*mirror_, *endpoint, *job_.mirror_target, *job_.cancel, without_haves,
                                    [this](std::uint64_t bytes, std::uint64_t objects) {
                                      progress_("fetching", std::to_string(objects) + " objects, " + std::to_string(bytes >> 10U) + " KiB received");
                                    });
    if (tools_.telemetry)
      tools_.telemetry->fetched(report ? nullptr : &report.error(), since(began), report ? report->received_bytes : 0);
    if (!report) {
      auto f = of_mirror(report.error());
      // A difference from an object that is damaged here; a mirror that had nothing cannot be the cause.
      fetch_broke_ = f.code == ec::checksum_mismatch && !mirror_->refs()->refs.empty();
      return f;
    }
    out_->fetched = true;
    out_->fetched_bytes += report->received_bytes;
    out_->fetch_time += since(began);
    return {};
  }

  /// What the remote holds, as what differs from the cache.
  result<logic::discovery_changes> discover() {
    progress_("discovering", "");
    const auto began = clock::now();
    auto snapshot = cache_->snapshot(job_.sync.uid);
    if (!snapshot)
      return snapshot.error();
    std::vector<logic::cached_entry> cached;
    cached.reserve(snapshot->size());
    for (auto& entry : *snapshot)
      cached.push_back({std::move(entry.name), entry.digest});
    auto decoder = tools_.make_decoder();
    const auto& git = *job_.sync.spec->git;
    logic::discovery_request request{job_.sync.key, git.repo, git.branch, git.directory, job_.sync.target, tools_.limits};
    auto found = logic::discover_changes(request, std::move(cached), job_.sync.basis, *kept_, *decoder, index_, *job_.cancel);
    if (found && index_.changed())
      if (auto saved = mirror_->save_index(index_.save()); !saved)
        return saved.error();
    out_->objects_read = index_.objects_read();
    out_->discover_time += since(began);
    return found;
  }

  /// Many removals, the newest first: the oldest are what a hold protects.
  result<void> sort_removals() {
    auto& removed = out_->delta.removed;
    if (removed.size() < logic::least_held)
      return {};
    std::vector<std::pair<wall_time, std::string>> dated;
    dated.reserve(removed.size());
    for (auto& name : removed) {
      const auto row = cache_->get({job_.sync.key.ns, name});
      if (!row)
        return row.error();
      dated.emplace_back(*row ? (*row)->created : wall_time{}, std::move(name));
    }
    std::ranges::sort(dated, std::greater{});
    std::ranges::transform(dated, removed.begin(), [](auto& one) { return std::move(one.second); });
    return {};
  }

  result<void> store(logic::discovery_changes found) {
    const auto began = clock::now();
    out_->note = note_on(found);
    out_->delta = std::move(found.delta);
    if (auto sorted = sort_removals(); !sorted)
      return sorted;
    out_->delta.stats.fetched_bytes = out_->fetched_bytes;
    progress_("storing", std::to_string(out_->delta.added.size() + out_->delta.changed.size()) + " package revisions");
    kept_->keep_no_more();
    file_losses losses{*cache_};
    const auto trees = losses.look(job_.sync.uid, out_->delta);
    if (!trees)
      return trees.error();
    content_stream stream{tools_, *cache_, *kept_, *job_.cancel};
    if (auto sent = stream.send(*trees); !sent)
      return sent;
    if (auto finished = stream.finish(); !finished)
      return finished;
    auto reported = losses.report(out_->delta);
    out_->store_time = since(began);
    return reported;
  }

  /// What has to be said when nothing was found, so that zero packages are never a silent Ready.
  std::string note_on(const logic::discovery_changes& found) const {
    if (found.delta.stats.revisions != 0)
      return {};
    const auto& git = *job_.sync.spec->git;
    const auto where = git.directory.empty() ? std::string{} : " under directory \"" + git.directory + "\"";
    if (found.directory_missing)
      return "directory \"" + git.directory + "\" does not exist on branch \"" + git.branch + "\"";
    return "no packages found" + where + " on branch \"" + git.branch + "\", nor in tags, drafts or proposals";
  }

  const msg::job& job_;
  const job_tools& tools_;
  const progress_report& progress_;
  std::shared_ptr<msg::sync_result> out_;
  std::unique_ptr<git::mirror> mirror_;
  std::optional<watched_objects> objects_; ///< of `mirror_`
  std::optional<job_objects> kept_;         ///< of `objects_`
  std::unique_ptr<store::package_cache_reader> cache_;
  logic::discovery_index index_;
  bool fetch_broke_ = false; ///< on what the mirror had
};

/// Mirrors that no remote uses any more: what a daemon that was killed between two steps leaves behind. One that is in use
/// (its remote is younger than the list) stays: its lock says so. What cannot be removed does not keep the others; the last such failure is told.
result<msg::job_result> sweep_mirrors(const msg::job& job, const job_tools& tools) {
  const std::unordered_set<std::string> keep{job.keep.begin(), job.keep.end()};
  std::vector<std::filesystem::path> orphans;
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator{job.mirror, error}; !error && entry != std::filesystem::directory_iterator{}; entry.increment(error))
    if (!keep.contains(entry->path().filename().string()))
      orphans.push_back(entry->path());
  std::optional<failure> problem;
  for (const auto& orphan : orphans) {
    if (job.cancel->expired())
      return failure{job.cancel->reason(), "stopped while mirrors were removed", {}, {}, {}};
    if (auto removed = tools.git->remove_mirror(orphan); !removed)
      problem = removed.error();
  }
  if (tools.mirrors)
    tools.mirrors->look(*job.cancel);
  if (problem)
    return *problem;
  return msg::job_result{};
}

/// What the job did to its mirror counts however it ended.
result<msg::job_result> run_sync(const msg::job& job, const job_tools& tools, const progress_report& progress) {
  auto done = sync_run_on_mirror{job, tools, progress}.run();
  if (tools.mirrors)
    tools.mirrors->used(job.mirror, *job.cancel);
  return done;
}

result<msg::job_result> remove_mirror(const msg::job& job, const job_tools& tools) {
  if (auto removed = tools.git->remove_mirror(job.mirror); !removed)
    return removed.error();
  if (tools.mirrors)
    tools.mirrors->forget(job.mirror);
  return msg::job_result{};
}

} // namespace

result<msg::job_result> run_job(const msg::job& job, const job_tools& tools, const progress_report& progress) {
  if (job.cancel->expired())
    return failure{job.cancel->reason(), "stopped before it began", {}, {}, {}};
  switch (job.kind) {
  case msg::job_kind::list: return run_list(job, tools);
  case msg::job_kind::sync: return run_sync(job, tools, progress);
  case msg::job_kind::remove_mirror: return remove_mirror(job, tools);
  case msg::job_kind::sweep_mirrors: return sweep_mirrors(job, tools);
  }
  return failure{ec::internal, "unknown kind of job", {}, {}, {}};
}

} // namespace veranda
