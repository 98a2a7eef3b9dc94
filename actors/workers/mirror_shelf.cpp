#include "actors/workers/mirror_shelf.hpp"

#include "actors/common/log.hpp"

#include <algorithm>
#include <numeric>
#include <system_error>

namespace veranda {

namespace {

constexpr std::string_view component = "mirrors";

std::uint64_t bytes_of(const std::vector<logic::mirror_use>& mirrors) {
  return std::accumulate(mirrors.begin(), mirrors.end(), std::uint64_t{0}, [](std::uint64_t sum, const logic::mirror_use& m) { return sum + m.bytes; });
}

} // namespace

mirror_shelf::mirror_shelf(std::shared_ptr<git::git_client> git, std::filesystem::path all, std::uint64_t max_bytes, std::function<wall_time()> now)
    : git_(std::move(git)), all_(std::move(all)), max_bytes_(max_bytes), now_(std::move(now)) {}

void mirror_shelf::look(const cancel_token& cancel) {
  std::error_code error;
  for (auto entry = std::filesystem::directory_iterator{all_, error}; !error && entry != std::filesystem::directory_iterator{} && !cancel.expired(); entry.increment(error)) {
    auto use = git_->measure_mirror(entry->path());
    if (!use)
      continue;
    const std::lock_guard lock{mutex_};
    mirrors_.try_emplace(use->name, known{*use, {}}); // a job that has closed it knows better
  }
  trim(cancel);
}

void mirror_shelf::used(const std::filesystem::path& mirror, const cancel_token& cancel) {
  auto use = git_->measure_mirror(mirror);
  if (!use)
    return;
  use->last_used = now_();
  {
    const std::lock_guard lock{mutex_};
    mirrors_.insert_or_assign(use->name, known{*use, {}});
  }
  trim(cancel);
}

void mirror_shelf::forget(const std::filesystem::path& mirror) {
  const std::lock_guard lock{mutex_};
  mirrors_.erase(mirror.filename().string());
}

/// Nobody waits for another's removals: who removes looks again when something grew meanwhile.
void mirror_shelf::trim(const cancel_token& cancel) {
  if (max_bytes_ == 0)
    return;
  again_ = true;
  while (again_) {
    const std::unique_lock lock{trimming_, std::try_to_lock};
    if (!lock)
      return;
    again_ = false;
    trim_once(cancel);
  }
}

void mirror_shelf::trim_once(const cancel_token& cancel) {
  auto all = there();
  auto bytes = bytes_of(all);
  std::string why = "no other is there";
  for (const auto& m : logic::removal_order(std::move(all), max_bytes_)) {
    if (bytes <= max_bytes_ || cancel.expired())
      break;
    const auto removed = git_->remove_mirror(all_ / m.name);
    if (git_->measure_mirror(all_ / m.name)) { // a job holds it, or has made it again
      why = removed ? "it is in use again" : describe(removed.error());
      continue;
    }
    went(m);
    bytes -= m.bytes;
    log::info(component, "a mirror was removed to stay within --mirror-max-bytes; it is fetched whole when something changes there",
              {{"remote", m.remote}, {"bytes", std::to_string(m.bytes)}, {"left", std::to_string(bytes)}, {"limit", std::to_string(max_bytes_)}});
    if (!removed) // renamed, so nobody's mirror; the next start removes the rest
      log::warn(component, "some of a mirror's files could not be removed", {{"remote", m.remote}, {"err", describe(removed.error())}});
  }
  const bool beyond = bytes > max_bytes_ && !cancel.expired();
  if (beyond && !said_)
    log::warn(component, "the mirrors take more than --mirror-max-bytes, and what could go cannot be removed now; raise it when this stays so",
              {{"bytes", std::to_string(bytes)}, {"limit", std::to_string(max_bytes_)}, {"err", why}});
  said_ = beyond;
}

std::vector<logic::mirror_use> mirror_shelf::there() const {
  std::vector<logic::mirror_use> out;
  const std::lock_guard lock{mutex_};
  for (const auto& [name, m] : mirrors_)
    if (!m.removed)
      out.push_back(m.use);
  return out;
}

/// Unless a job has had it since.
void mirror_shelf::went(const logic::mirror_use& gone) {
  const auto now = now_();
  const std::lock_guard lock{mutex_};
  ++removed_;
  const auto at = mirrors_.find(gone.name);
  if (at != mirrors_.end() && at->second.use.last_used == gone.last_used)
    at->second.removed = now;
}

mirror_totals mirror_shelf::totals() const {
  mirror_totals out;
  out.max_bytes = max_bytes_;
  const std::lock_guard lock{mutex_};
  out.removed = removed_;
  for (const auto& [name, m] : mirrors_)
    if (!m.removed) {
      ++out.count;
      out.bytes += m.use.bytes;
    }
  return out;
}

std::optional<mirror_facts> mirror_shelf::find(const std::string& remote) const {
  const std::lock_guard lock{mutex_};
  const auto at = std::find_if(mirrors_.begin(), mirrors_.end(), [&](const auto& m) { return m.second.use.remote == remote; });
  if (at == mirrors_.end())
    return std::nullopt;
  const auto& m = at->second;
  return mirror_facts{m.removed ? 0 : m.use.bytes, m.use.last_used, m.removed};
}

} // namespace veranda
