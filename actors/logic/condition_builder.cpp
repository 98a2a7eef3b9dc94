#include "actors/logic/condition_builder.hpp"

#include "actors/logic/conflicts.hpp"

#include <algorithm>
#include <utility>

namespace veranda::logic {
namespace {

constexpr std::size_t max_message_bytes = 4096;
constexpr std::size_t listed_items = 3;
constexpr std::size_t listed_conflicts = 10;

/// Cuts at a character boundary; control characters become blanks (the text may end in a terminal).
std::string bounded(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  if (text.size() <= max_message_bytes) return text;
  std::size_t end = max_message_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + "...";
}

condition make(std::string_view type, std::string status, std::string reason, std::string message) {
  return {.type = std::string{type},
          .status = std::move(status),
          .reason = std::move(reason),
          .message = bounded(std::move(message)),
          .last_transition = {},
          .observed_generation = 0};
}

std::string without_full_stop(std::string text) {
  while (!text.empty() && (text.back() == '.' || text.back() == ' ' || text.back() == '\n')) text.pop_back();
  return text;
}

/// `auth_rejected` as `AuthRejected`.
std::string camel_case(std::string_view lower_snake) {
  std::string out;
  bool upper = true;
  for (const char c : lower_snake) {
    if (c == '_') {
      upper = true;
    } else {
      out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
  }
  return out;
}

/// Credentials are what the remote saw of the Secret, or what is wrong with the Secret itself, which then is the object of the failure.
std::string advice_about(const failure& f, const std::string& secret) {
  if (f.code != ec::auth_rejected || !f.object.empty()) return std::string{advice(f.code)};
  return secret.empty() ? "the object names no Secret, and private remotes need one (spec.git.secretRef)" : "check Secret " + secret + " and what its user may read";
}

} // namespace

condition in_progress_condition() {
  return make(condition_types::ready, "False", "Reconciling", "Repository reconciliation in progress");
}

condition ready_condition(std::optional<wall_time> next, const std::vector<std::string>& notes) {
  std::string text = "Repository Ready";
  if (next) text += " (next sync scheduled at: " + format_rfc3339(*next) + ")";
  for (const auto& note : notes) text += "; " + note;
  return make(condition_types::ready, "True", "Ready", std::move(text));
}

condition error_condition(const failure& f, const std::string& secret) {
  const bool silent = f.what.empty() && f.object.empty() && f.field.empty();
  auto text = silent ? std::string{"unknown error"} : without_full_stop(describe(f));
  text += " (" + std::string{to_string(f.code)} + ")";
  const bool advised = f.what.find("; ") != std::string::npos;
  if (const auto what_to_do = advised ? std::string{} : advice_about(f, secret); !what_to_do.empty()) text += ": " + what_to_do;
  return make(condition_types::ready, "False", f.code == ec::host_unavailable ? "HostUnavailable" : "Error", std::move(text));
}

condition suspended_condition() {
  return make(condition_types::ready, "False", "Suspended",
              "Repository was never synced: it is suspended by annotation " + std::string{api_names::suspend_annotation});
}

condition reconciling_condition() {
  return make(condition_types::reconciling, "True", "Syncing", "a sync is running or about to");
}

condition retrying_condition(ec code, std::optional<wall_time> next) {
  const std::string what = code == ec::host_unavailable ? "its host is tried again, by this or another repository, at " : "retrying at ";
  return make(condition_types::reconciling, "True", "Retrying", next ? what + format_rfc3339(*next) : "retrying as soon as possible");
}

condition stalled_condition(ec code, std::optional<wall_time> next) {
  return make(condition_types::stalled, "True", camel_case(to_string(code)),
              next ? "waiting for a change of the object, its Secret or its remote; checking again at " + format_rfc3339(*next)
                   : "waiting for a change of the object");
}

condition packages_degraded_condition(const std::vector<bad_item>& first_few, std::uint64_t count) {
  const auto listed = std::min(first_few.size(), listed_items);
  std::string text = std::to_string(count) + (count == 1 ? " item is" : " items are") + " not, or not wholly, in the cache";
  for (std::size_t i = 0; i < listed; ++i) {
    const auto& item = first_few[i];
    text += (i == 0 ? ": " : "; ") + item.what + ": " + without_full_stop(item.reason) + (item.excluded ? " (left out)" : "");
  }
  if (count > listed) text += (listed == 0 ? "" : "; and " + std::to_string(count - listed) + " more");
  return make(condition_types::packages_degraded, "True", "BadItems", std::move(text));
}

condition deletion_held_condition(const deletion_hold& hold, const object_key& key, unsigned max_percent, std::optional<wall_time> release) {
  const auto object = key.name + " -n " + key.ns;
  auto text = std::to_string(hold.count) + " of " + std::to_string(hold.total) + " package revisions are gone from the remote and are kept, as more than " +
              std::to_string(max_percent) + "% would go at once: " + hold.cause + ". Put them back; or, when they are meant to go: veranda sync " + object +
              " --allow-deletion (in a cluster: kubectl annotate repository " + object + " --overwrite " + std::string{api_names::allow_deletion_annotation} + "=" +
              hold.permit + ")";
  if (release) text += ". If they stay away they go by themselves after " + format_rfc3339(*release);
  return make(condition_types::deletion_held, "True", "TooManyRemovals", std::move(text));
}

std::string held_note(const deletion_hold& hold) {
  return std::to_string(hold.count) + " package revisions that the remote no longer has are kept: see condition " + std::string{condition_types::deletion_held};
}

condition schedule_invalid_condition(const std::string& expression, const std::string& problem, std::chrono::milliseconds instead) {
  return make(condition_types::schedule_invalid, "True", problem.empty() ? "NoFutureRun" : "InvalidCronExpression",
              "spec.sync.schedule: \"" + expression + "\": " +
                  (problem.empty() ? std::string{"has no run within the next five years"} : without_full_stop(problem)) +
                  "; syncing every " + format_go_duration(instead) + " instead");
}

condition conflict_condition(const std::vector<std::string>& others) {
  std::string text = "Repository conflict with existing repository: ";
  const auto listed = std::min(others.size(), listed_conflicts);
  for (std::size_t i = 0; i < listed; ++i) text += (i == 0 ? "" : ", ") + others[i];
  if (others.size() > listed) {
    const bool cut = others.size() >= max_listed_conflicts;
    text += std::string{cut ? " and at least " : " and "} + std::to_string(others.size() - listed) + " more";
  }
  return make(condition_types::repository_conflict, "True", "RepositoryConflict", std::move(text));
}

std::string_view advice(ec code) noexcept {
  switch (code) {
    case ec::unreachable: return "check the URL, and that its host can be reached from here; the sync is retried";
    case ec::timed_out: return "check the network and the load of the remote; the sync is retried";
    case ec::unavailable: return "the sync is retried; look at the other side if this lasts";
    case ec::throttled: return "the remote limits how often it may be asked; the sync is retried later";
    case ec::overloaded: return "the sync waits for its turn";
    case ec::host_unavailable: return "the sync follows once the host answers; veranda sync tries it at once";
    case ec::dependency_missing: return "create what is missing; the sync then starts by itself";
    case ec::auth_rejected: return "check its type and keys";
    case ec::not_found: return "check URL, branch and directory, and that the user may see them";
    case ec::invalid_spec: return "correct the object";
    case ec::too_large: return "make it smaller or raise the limit";
    case ec::unsupported: return "use a kind, protocol or format that is supported";
    case ec::conflict:
    case ec::stale: return "the sync is retried";
    case ec::checksum_mismatch: return "check the remote for damage (git fsck)";
    case ec::corrupt_cache: return "check the disk of the data directory; the cache is rebuilt from the remotes";
    case ec::internal: return "this is a defect: please report it with the log of this sync; the sync is retried";
    case ec::cancelled:
    case ec::shutting_down: return "";
  }
  return "";
}

std::optional<failure> spec_failure(const repository_object& object) {
  if (!object.problems.empty()) {
    failure f{.code = ec::invalid_spec, .what = {}, .object = {}, .field = {}, .retry_after = {}};
    for (const auto& p : object.problems) f.what += (f.what.empty() ? "" : "; ") + describe(p);
    return f;
  }
  if (object.spec.type == repository_type::oci) {
    return failure{ec::unsupported, "OCI repositories are not supported yet", {}, "spec.type", {}};
  }
  if (object.spec.type != repository_type::git || !object.spec.git) {
    return failure{ec::invalid_spec, "a Repository needs type git and a git block", {}, "spec", {}};
  }
  return std::nullopt;
}

std::string nothing_found_note(const repository_spec& spec) {
  if (!spec.git) return "no packages found";
  const auto where = spec.git->directory.empty() ? std::string{} : " under \"" + spec.git->directory + "\"";
  return "no packages found" + where + " on branch " + spec.git->branch;
}

void stamp(std::vector<condition>& conditions, const std::vector<condition>& previous, std::int64_t generation, wall_time now) {
  for (auto& c : conditions) {
    const auto old = std::find_if(previous.begin(), previous.end(), [&](const condition& p) { return p.type == c.type; });
    const bool same = old != previous.end() && old->status == c.status && old->last_transition;
    c.last_transition = same ? *old->last_transition : now;
    c.observed_generation = generation;
  }
}

repository_status blocked_status(repository_status published, std::string why, std::int64_t generation, wall_time now) {
  const auto before = std::exchange(published.conditions, {make(condition_types::ready, "False", "Error", std::move(why))});
  stamp(published.conditions, before, generation, now);
  return published;
}

bool says_the_same(const repository_status& a, const repository_status& b) {
  auto left = a;
  auto right = b;
  for (auto* side : {&left, &right}) {
    for (auto& c : side->conditions) c.last_transition.reset();
  }
  return left == right;
}

bool says_alike(const std::vector<condition>& published, const std::vector<condition>& ours, std::int64_t generation) {
  using namespace condition_types;
  constexpr std::string_view all[] = {ready, reconciling, stalled, packages_degraded, deletion_held, schedule_invalid, repository_conflict};
  const auto find = [](const std::vector<condition>& in, std::string_view type) { return std::find_if(in.begin(), in.end(), [type](const condition& c) { return c.type == type; }); };
  return std::all_of(std::begin(all), std::end(all), [&](std::string_view type) {
    const auto was = find(published, type);
    const auto is = find(ours, type);
    if (was == published.end() || is == ours.end()) return was == published.end() && is == ours.end();
    return was->status == is->status && was->reason == is->reason && was->observed_generation == generation;
  });
}

} // namespace veranda::logic
