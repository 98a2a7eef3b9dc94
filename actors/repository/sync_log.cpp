#include "actors/repository/sync_log.hpp"

#include "actors/common/log.hpp"

#include <cstdio>

namespace veranda {

namespace {

constexpr const char* component = "repository";

std::string prefix(const repository_state& st) {
  const auto& spec = st.applied.object->spec;
  std::string text = "repositorySync " + st.key.ns + ":" + st.key.name;
  if (spec.git)
    text += ":" + spec.git->directory + ":" + spec.git->branch;
  return text + ": ";
}

std::string sync_id(const repository_state& st) { return st.running ? st.running->order.sync_id : std::string{}; }

void line(const repository_state& st, log::level level, const std::string& text, const std::string& error = {}) {
  log::write(level, component, prefix(st) + text,
             {{"key", to_string(st.key)}, {"gen", std::to_string(st.applied.object->meta.generation)}, {"sync_id", sync_id(st)}, {"err", error}});
}

std::string seconds(std::chrono::milliseconds took) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(took.count()) / 1000.0);
  return text;
}

} // namespace

void log_line(const repository_state& st, const std::string& text) { line(st, log::level::info, text); }

void log_sync_started(const repository_state& st) {
  line(st, log::level::debug, "sync started (" + std::string{to_string(st.running->order.cause)} + ")");
}

void log_sync_result(const repository_state& st, const msg::sync_result& synced) {
  const auto& stats = synced.delta.stats;
  line(st, log::level::info,
       "found " + std::to_string(stats.both + stats.cached_only) + " package revisions in cached repository, " +
         std::to_string(stats.both + stats.external_only) + " in external repository: " + std::to_string(stats.cached_only) + " cached only, " +
         std::to_string(stats.both) + " in both, " + std::to_string(stats.external_only) + " external only, " + std::to_string(stats.changed) + " changed");
  for (std::size_t i = 0; i < synced.delta.bad.size() && i < 5; ++i)
    line(st, log::level::warn, synced.delta.bad[i].what + ": " + synced.delta.bad[i].reason);
}

void log_held(const repository_state& st, const logic::sync_outcome& outcome) {
  const auto before = st.machine->durable().hold;
  if (outcome.hold && (!before || before->permit != outcome.hold->permit))
    line(st, log::level::warn, std::to_string(outcome.hold->count) + " of " + std::to_string(outcome.hold->total) +
           " package revisions are gone from the remote and are kept until that is allowed (condition DeletionHeld): " + outcome.hold->cause);
  else if (before && !outcome.hold)
    line(st, log::level::info, "no removals are held any more; this sync carried out " + std::to_string(outcome.stats.cached_only));
}

void log_sync_finished(const repository_state& st, const logic::sync_outcome& outcome, std::chrono::milliseconds took) {
  if (outcome.error)
    line(st, class_of(outcome.error->code) == error_class::stop ? log::level::info : log::level::warn, "sync failed after " + seconds(took) + " secs",
         std::string{to_string(outcome.error->code)} + ": " + describe(*outcome.error));
  else if (outcome.unchanged)
    line(st, log::level::debug, "external repository is still on cached version; sync finished in " + seconds(took) + " secs");
  else
    line(st, log::level::info, "sync finished in " + seconds(took) + " secs");
}

} // namespace veranda
