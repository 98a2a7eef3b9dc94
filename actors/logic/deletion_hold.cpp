#include "actors/logic/deletion_hold.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

constexpr std::size_t permit_digits = 12;
constexpr std::size_t commit_digits = 8;

/// `20-3f9a1c2b7d40`: how many, and a digest over which and over when the hold began, so that it fits no other hold of the same revisions.
std::string permit_for(std::vector<std::string> held, wall_time since) {
  std::sort(held.begin(), held.end());
  sha256_hasher hasher;
  hasher.update_field(std::to_string(since.time_since_epoch().count()));
  for (const auto& name : held) hasher.update_field(name);
  return std::to_string(held.size()) + "-" + to_hex(hasher.finish()).substr(0, permit_digits);
}

bool moved_by_user(const sync_basis& before, const sync_basis& after) {
  return !before.source.empty() && !after.source.empty() && before.source != after.source;
}

} // namespace

std::optional<deletion_hold> hold_removals(const package_delta& delta, const hold_facts& facts) {
  const std::uint64_t total = delta.stats.both + delta.removed.size();
  const std::uint64_t base = facts.standing ? std::min(facts.standing->base, total) : total;
  const std::uint64_t count = std::min<std::uint64_t>(delta.removed.size(), base);
  if (count < least_held || facts.max_percent >= 100 || count * 100 <= base * facts.max_percent || moved_by_user(facts.before, delta.basis)) return std::nullopt;
  const auto since = facts.standing ? facts.standing->since : facts.now;
  auto permit = permit_for({delta.removed.end() - static_cast<std::ptrdiff_t>(count), delta.removed.end()}, since);
  if (permit == facts.permit) return std::nullopt;
  if (facts.standing && facts.standing->permit == permit) return facts.standing;
  return deletion_hold{.count = count,
                       .total = total,
                       .base = base,
                       .permit = std::move(permit),
                       .cause = facts.cause,
                       .since = since,
                       .agreed = facts.now};
}

package_delta without_held(const package_delta& delta, const deletion_hold& hold) {
  auto rest = delta;
  const auto held = std::min<std::size_t>(hold.count, rest.removed.size());
  rest.removed.resize(rest.removed.size() - held);
  rest.stats.revisions += held;
  rest.stats.cached_only = rest.removed.size();
  return rest;
}

std::string cause_of_removals(const sync_basis& before, const sync_basis& after, const std::string& branch, const std::string& note) {
  if (!note.empty()) return note;
  if (before.commit != after.commit && !before.commit.empty() && !after.commit.empty()) {
    return "since the last sync branch \"" + branch + "\" moved from " + before.commit.substr(0, commit_digits) + " to " + after.commit.substr(0, commit_digits);
  }
  return before.digest != after.digest ? "since the last sync tags, drafts or proposals were removed" : "a comparison with the remote no longer finds them";
}

std::optional<wall_time> release_time(const deletion_hold& hold, std::chrono::milliseconds agreement) {
  return agreement.count() > 0 ? std::optional{hold.agreed + agreement} : std::nullopt;
}

} // namespace veranda::logic
