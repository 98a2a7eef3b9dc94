#include "actors/workers/file_losses.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace veranda {

namespace {

/// Where a package is found: git's `<ref>:<directory>`.
struct place {
  std::string_view ref;
  std::string_view directory;
  auto operator<=>(const place&) const = default;
};

std::string below(const place& at, const std::string& path) {
  std::string text{at.ref};
  text += ':';
  text += at.directory;
  if (!at.directory.empty() && !path.empty())
    text += '/';
  return text + path;
}

} // namespace

result<std::vector<oid>> file_losses::look(const std::string& uid, const package_delta& delta) {
  auto incomplete = cache_.incomplete_revisions(uid);
  if (!incomplete)
    return incomplete.error();
  staying_ = std::move(*incomplete);
  if (!staying_.empty()) {
    std::unordered_set<std::string_view> leaving{delta.removed.begin(), delta.removed.end()};
    for (const auto& r : delta.changed)
      leaving.insert(r.name);
    std::erase_if(staying_, [&](const auto& r) { return leaving.contains(r.name); });
  }
  std::unordered_set<oid> seen;
  const auto add = [&](const oid& tree) {
    if (seen.insert(tree).second)
      trees_.push_back(tree);
  };
  for (const auto* revisions : {&delta.added, &delta.changed})
    for (const auto& r : *revisions)
      add(r.tree);
  for (const auto& r : staying_)
    add(r.tree);
  return trees_;
}

result<void> file_losses::report(package_delta& delta) const {
  const auto losses = cache_.losses(trees_, named);
  if (!losses)
    return losses.error();
  if (losses->empty())
    return {};
  std::unordered_map<oid, std::optional<place>> first; // of each tree, the same whatever the order of its revisions
  for (const auto& lost : *losses)
    first.emplace(lost.tree, std::nullopt);
  const auto consider = [&](const oid& tree, const place& at) {
    if (const auto known = first.find(tree); known != first.end() && (!known->second || at < *known->second))
      known->second = at;
  };
  for (const auto* revisions : {&delta.added, &delta.changed})
    for (const auto& r : *revisions)
      consider(r.tree, {r.ref, r.self_lock.directory});
  for (const auto& r : staying_)
    consider(r.tree, {r.ref, r.directory});
  std::vector<bad_item> named_ones;
  for (const auto& lost : *losses) {
    delta.stats.bad += lost.count;
    for (const auto& item : lost.first)
      named_ones.push_back({below(first.at(lost.tree).value_or(place{}), item.what), item.reason, item.excluded});
  }
  std::sort(named_ones.begin(), named_ones.end());
  delta.bad.insert(delta.bad.end(), std::make_move_iterator(named_ones.begin()), std::make_move_iterator(named_ones.end()));
  return {};
}

} // namespace veranda
