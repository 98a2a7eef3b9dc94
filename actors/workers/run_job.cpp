#include "actors/common/endpoint.hpp"
#include "actors/common/log.hpp"
#include "actors/workers/content_stream.hpp"
#include "actors/workers/job_objects.hpp"

#include <algorithm>
#include <filesystem>

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

/// One sync on a worker: the steps share the mirror, the index and what is to be reported.
class sync_run_on_mirror {
public:
  sync_run_on_mirror(const msg::job& job, const job_tools& tools, const progress_report& progress)
      : job_(job), tools_(tools), progress_(progress), out_(std::make_shared<msg::sync_result>()) {}

  result<msg::job_result> run() {
    if (auto opened = open(); !opened)
      return opened.error();
    if (mirror_->refs()->refs != job_.mirror_target->refs)
      if (auto fetched = fetch(false); !fetched)
        return fetched.error();
    auto cache = tools_.open_cache();
    if (!cache)
      return cache.error();
    cache_ = std::move(*cache);
    auto found = discover();
    if (!found && found.error().code == ec::not_found) { // an object is missing: what the mirror holds cannot be trusted to be whole
      index_ = {};
      if (auto fetched = fetch(true); !fetched)
        return fetched.error();
      found = discover();
      if (!found && found.error().code == ec::not_found)
        found = failure{ec::corrupt_cache, "objects are missing from the remote's own pack", job_.remote.url, {}, {}};
    }
    if (!found)
      return found.error();
    if (auto stored = store(std::move(*found)); !stored)
      return stored.error();
    if (auto settled = mirror_->settle(); !settled)
      return settled.error();
    if (auto tidied = mirror_->tidy(*job_.cancel); !tidied) // the next sync tries again
      log::warn(worker_state::name, "the packs of a mirror could not be merged", {{"remote", job_.remote.url}, {"err", describe(tidied.error())}});
    return msg::job_result{nullptr, out_};
  }

private:
  result<void> open() {
    progress_("opening", job_.remote.url);
    auto opened = tools_.git->open_mirror(job_.mirror, to_string(job_.remote));
    if (!opened && opened.error().code == ec::corrupt_cache) { // only a copy: make it anew
      if (auto removed = tools_.git->remove_mirror(job_.mirror); !removed)
        return removed.error();
      opened = tools_.git->open_mirror(job_.mirror, to_string(job_.remote));
    }
    if (!opened)
      return opened.error();
    mirror_ = std::move(*opened);
    objects_.emplace(mirror_->objects());
    auto loaded = logic::discovery_index::load(mirror_->load_index());
    if (loaded)
      index_ = std::move(*loaded);
    return {};
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
    if (!report)
      return report.error();
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
    auto found = logic::discover_changes(request, std::move(cached), job_.sync.basis, *objects_, *decoder, index_, *job_.cancel);
    if (found && index_.changed())
      if (auto saved = mirror_->save_index(index_.save()); !saved)
        return saved.error();
    out_->objects_read = index_.objects_read();
    out_->discover_time += since(began);
    return found;
  }

  result<void> store(logic::discovery_changes found) {
    const auto began = clock::now();
    out_->note = note_on(found);
    out_->delta = std::move(found.delta);
    out_->delta.stats.fetched_bytes = out_->fetched_bytes;
    progress_("storing", std::to_string(out_->delta.added.size() + out_->delta.changed.size()) + " package revisions");
    objects_->keep_no_more();
    content_stream stream{tools_, *cache_, *objects_, *job_.cancel};
    for (const auto* revisions : {&out_->delta.added, &out_->delta.changed})
      if (auto sent = stream.send(*revisions, out_->delta.bad); !sent)
        return sent;
    auto finished = stream.finish();
    out_->delta.stats.bad = out_->delta.bad.size();
    out_->store_time = since(began);
    return finished;
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
  std::optional<job_objects> objects_;
  std::unique_ptr<store::package_cache_reader> cache_;
  logic::discovery_index index_;
};

/// Mirrors that no remote uses any more: what a daemon that was killed between two steps leaves behind.
result<msg::job_result> sweep_mirrors(const msg::job& job, const job_tools& tools) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{job.mirror, error}) {
    const auto name = entry.path().filename().string();
    if (std::find(job.keep.begin(), job.keep.end(), name) == job.keep.end())
      if (auto removed = tools.git->remove_mirror(entry.path()); !removed)
        return removed.error();
  }
  return msg::job_result{};
}

} // namespace

result<msg::job_result> run_job(const msg::job& job, const job_tools& tools, const progress_report& progress) {
  if (job.cancel->expired())
    return failure{job.cancel->reason(), "stopped before it began", {}, {}, {}};
  switch (job.kind) {
  case msg::job_kind::list: return run_list(job, tools);
  case msg::job_kind::sync: return sync_run_on_mirror{job, tools, progress}.run();
  case msg::job_kind::remove_mirror: {
    if (auto removed = tools.git->remove_mirror(job.mirror); !removed)
      return removed.error();
    return msg::job_result{};
  }
  case msg::job_kind::sweep_mirrors: return sweep_mirrors(job, tools);
  }
  return failure{ec::internal, "unknown kind of job", {}, {}, {}};
}

} // namespace veranda
