#include "actors/logic/conflicts.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace veranda::logic {
namespace {

using members = std::vector<const repository_object*>;
/// Repositories of one URL and branch, by directory.
using by_directory = std::map<std::string_view, members>;

class collector {
public:
  explicit collector(const object_key& own) : own_(own) {}
  [[nodiscard]] bool full() const noexcept { return found_.size() >= max_listed_conflicts; }
  void add(const members& objects, bool same_namespace_only) {
    for (const auto* o : objects) {
      if (full()) return;
      if (o->meta.key == own_ || (same_namespace_only && o->meta.key.ns != own_.ns)) continue;
      found_.push_back(o->meta.key);
    }
  }
  std::vector<object_key> take() {
    std::sort(found_.begin(), found_.end());
    return std::move(found_);
  }

private:
  const object_key& own_;
  std::vector<object_key> found_;
};

void add_ancestors(const by_directory& group, std::string_view directory, collector& out) {
  for (std::size_t end = directory.rfind('/');; end = directory.rfind('/', end - 1)) {
    const auto parent = end == std::string_view::npos ? std::string_view{} : directory.substr(0, end);
    if (const auto it = group.find(parent); it != group.end()) out.add(it->second, false);
    if (end == std::string_view::npos || end == 0 || out.full()) return;
  }
}

void add_descendants(const by_directory& group, std::string_view directory, collector& out) {
  const auto prefix = directory.empty() ? std::string{} : std::string{directory} + "/";
  for (auto it = group.lower_bound(prefix); it != group.end() && it->first.substr(0, prefix.size()) == prefix && !out.full(); ++it) {
    if (it->first != directory) out.add(it->second, false);
  }
}

} // namespace

std::string normalised_url(std::string_view url) {
  std::string out;
  out.reserve(url.size());
  for (const char c : url) out += c == ':' || c == '/' ? '-' : c;
  return out;
}

std::map<object_key, std::vector<object_key>> find_conflicts(const std::vector<repository_object>& objects) {
  std::unordered_map<std::string, by_directory> groups;
  for (const auto& o : objects) {
    if (!o.spec.git || !o.problems.empty() || o.meta.deleted) continue;
    const auto place = normalised_url(o.spec.git->repo) + '\n' + o.spec.git->branch;
    groups[place][o.spec.git->directory].push_back(&o);
  }
  std::map<object_key, std::vector<object_key>> conflicts;
  for (const auto& [place, group] : groups) {
    for (const auto& [directory, same_place] : group) {
      // One namespace can fill a directory; namespaces apart do not conflict there.
      std::unordered_map<std::string_view, members> by_namespace;
      for (const auto* o : same_place) by_namespace[o->meta.key.ns].push_back(o);
      for (const auto* o : same_place) {
        collector found{o->meta.key};
        found.add(by_namespace[o->meta.key.ns], true);
        if (!directory.empty()) add_ancestors(group, directory, found);
        add_descendants(group, directory, found);
        if (auto others = found.take(); !others.empty()) conflicts.emplace(o->meta.key, std::move(others));
      }
    }
  }
  return conflicts;
}

} // namespace veranda::logic
