#include "actors/logic/package_delta.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace veranda::logic {
namespace {

struct package_id {
  std::string_view path;
  std::string_view package;
  bool operator==(const package_id&) const = default;
};
struct package_id_hash {
  std::size_t operator()(const package_id& id) const noexcept {
    return std::hash<std::string_view>{}(id.path) * 1000003U ^ std::hash<std::string_view>{}(id.package);
  }
};

std::uint64_t count_packages(const std::vector<package_revision>& revisions) {
  std::unordered_set<package_id, package_id_hash> packages;
  packages.reserve(revisions.size());
  for (const auto& r : revisions) packages.insert({r.key.path, r.key.package});
  return packages.size();
}

/// Moves revisions whose name was found before to `bad`.
void drop_repeated(std::vector<package_revision>& found, std::vector<bad_item>& bad) {
  std::unordered_set<std::string_view> names;
  names.reserve(found.size());
  std::vector<bool> repeated(found.size());
  bool any = false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    repeated[i] = !names.insert(found[i].name).second;
    any = any || repeated[i];
  }
  if (!any) return;
  std::vector<package_revision> kept;
  kept.reserve(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (repeated[i]) {
      bad.push_back({.what = found[i].ref, .reason = "its name " + found[i].name + " belongs to another revision already", .excluded = true});
    } else {
      kept.push_back(std::move(found[i]));
    }
  }
  found = std::move(kept);
}

} // namespace

package_delta make_delta(std::vector<cached_entry> cached, std::vector<package_revision> found, std::vector<bad_item> bad, sync_basis basis) {
  package_delta delta;
  delta.basis = std::move(basis);
  drop_repeated(found, bad);
  delta.stats.packages = count_packages(found);
  delta.stats.revisions = found.size();

  std::unordered_map<std::string_view, std::size_t> by_name;
  by_name.reserve(cached.size());
  for (std::size_t i = 0; i < cached.size(); ++i) by_name.emplace(cached[i].name, i);
  std::vector<bool> still_there(cached.size());
  for (auto& revision : found) {
    const auto it = by_name.find(revision.name);
    if (it == by_name.end()) {
      delta.added.push_back(std::move(revision));
      continue;
    }
    still_there[it->second] = true;
    ++delta.stats.both;
    if (revision.digest() != cached[it->second].digest) delta.changed.push_back(std::move(revision));
  }
  by_name.clear(); // its keys point into what is moved next
  for (std::size_t i = 0; i < cached.size(); ++i) {
    if (!still_there[i]) delta.removed.push_back(std::move(cached[i].name));
  }
  std::sort(delta.removed.begin(), delta.removed.end());
  delta.stats.external_only = delta.added.size();
  delta.stats.changed = delta.changed.size();
  delta.stats.cached_only = delta.removed.size();
  delta.stats.bad = bad.size();
  delta.bad = std::move(bad);
  return delta;
}

} // namespace veranda::logic
