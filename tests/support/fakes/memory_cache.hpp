#pragma once

#include "adapters/store/package_cache.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace veranda::test {

/// A package cache in memory that keeps the contract of `store::package_cache`: fences, one owner per key, trees before deltas. Failures are scripted, writes are logged.
struct memory_cache {
  struct repository {
    object_key key;
    std::int64_t fence = 0;
    std::int64_t epoch = 0;
    repository_spec spec;
    durable_state state;
    std::map<std::string, package_revision> revisions; ///< by name
  };
  std::map<std::string, repository> rows; ///< by uid
  std::map<oid, package_tree> trees;
  std::map<oid, store::tree_losses> losses; ///< of those that are not whole
  std::set<oid> contents;
  std::int64_t last_fence = 0;
  std::int64_t position = 0;
  std::vector<std::string> log; ///< operations that wrote, `apply_delta team/a`
  std::map<std::string, failure> failing; ///< by operation, until taken out
  bool damaged = false;                   ///< every operation fails with `corrupt_cache` until the cache is opened anew, empty
  unsigned opened = 0;
  unsigned checked = 0;
  unsigned set_aside = 0;

  [[nodiscard]] const repository* find(const object_key& key) const {
    for (const auto& [uid, row] : rows)
      if (row.key == key)
        return &row;
    return nullptr;
  }
  /// Names of the revisions of a repository.
  [[nodiscard]] std::vector<std::string> names(const object_key& key) const {
    std::vector<std::string> out;
    if (const auto* row = find(key))
      for (const auto& [name, revision] : row->revisions)
        out.push_back(name);
    return out;
  }
  [[nodiscard]] std::size_t count(const std::string& operation) const {
    return static_cast<std::size_t>(std::count_if(log.begin(), log.end(), [&](const std::string& l) { return l.starts_with(operation + " "); }));
  }
};

/// The smallest file of a tree that was too large to be kept.
inline std::uint64_t fits_at(const package_tree& tree) {
  std::uint64_t smallest = ~std::uint64_t{0};
  for (const auto& file : tree.files)
    if (file.kind == file_kind::omitted_too_large)
      smallest = std::min(smallest, file.size_bytes);
  return smallest;
}

class memory_package_cache final : public store::package_cache {
public:
  explicit memory_package_cache(memory_cache& data) : data_(data) { ++data_.opened; }

  result<store::repository_claim> claim(const object_key& key, const std::string& uid, std::int64_t epoch) override {
    if (auto f = refuse("claim"))
      return *f;
    for (const auto& [other, row] : data_.rows)
      if ((row.key == key || other == uid) && row.epoch > epoch)
        return stale();
    std::erase_if(data_.rows, [&](const auto& entry) { return entry.second.key == key && entry.first != uid; });
    auto& row = data_.rows[uid];
    row.key = key;
    row.epoch = epoch;
    row.fence = ++data_.last_fence;
    row.state.key = key;
    row.state.uid = uid;
    row.state.fence = row.fence;
    log("claim", key);
    return store::repository_claim{key, uid, row.fence, row.state.basis.digest};
  }
  result<void> open(const store::repository_claim& claim, const repository_spec& spec) override {
    if (auto f = refuse("open"))
      return *f;
    auto* row = claimed(claim);
    if (row == nullptr)
      return stale();
    if (row->spec != spec)
      log("open", claim.key);
    row->spec = spec;
    return {};
  }
  result<void> put_contents(const store::content_batch& batch) override {
    if (auto f = refuse("put_contents"))
      return *f;
    for (const auto& c : batch.contents)
      data_.contents.insert(c.blob);
    for (const auto& t : batch.trees)
      if (const auto [at, fresh] = data_.trees.emplace(t.tree, t); fresh || fits_at(at->second) < fits_at(t)) {
        at->second = t;
        data_.losses.erase(t.tree);
        for (const auto& lost : batch.losses)
          if (lost.tree == t.tree)
            data_.losses[t.tree] = lost;
      }
    return {};
  }
  result<store::apply_result> apply_delta(const store::repository_claim& claim, const package_delta& delta, const durable_state& state) override {
    if (auto f = refuse("apply_delta"))
      return *f;
    auto* row = claimed(claim);
    if (row == nullptr)
      return stale();
    for (const auto* list : {&delta.added, &delta.changed})
      for (const auto& r : *list)
        if (!data_.trees.contains(r.tree))
          return failure{ec::conflict, "a tree of the delta is not stored", {}, {}, {}};
    for (const auto& name : delta.removed)
      row->revisions.erase(name);
    for (const auto* list : {&delta.added, &delta.changed})
      for (const auto& r : *list)
        row->revisions[r.name] = r;
    data_.position += static_cast<std::int64_t>(delta.added.size() + delta.changed.size() + delta.removed.size());
    keep(*row, state);
    row->state.revisions = row->revisions.size();
    log("apply_delta", claim.key);
    return store::apply_result{data_.position, row->revisions.size(), row->revisions.size(), {}};
  }
  result<void> put_state(const store::repository_claim& claim, const durable_state& state) override {
    if (auto f = refuse("put_state"))
      return *f;
    auto* row = claimed(claim);
    if (row == nullptr)
      return stale();
    auto next = state;
    next.basis = row->state.basis;
    keep(*row, next);
    log("put_state", claim.key);
    return {};
  }
  result<void> close(const store::repository_claim& claim) override {
    if (auto f = refuse("close"))
      return *f;
    const auto at = data_.rows.find(claim.uid);
    if (at == data_.rows.end())
      return {};
    if (at->second.fence != claim.fence)
      return stale();
    data_.rows.erase(at);
    log("close", claim.key);
    return {};
  }
  result<std::size_t> sweep(std::chrono::seconds, std::size_t) override {
    if (auto f = refuse("sweep"))
      return *f;
    return std::size_t{0};
  }
  result<void> check() override {
    ++data_.checked;
    if (auto f = refuse("check"))
      return *f;
    return {};
  }

private:
  static failure stale() { return {ec::stale, "the fence is older than what is stored", {}, {}, {}}; }
  std::optional<failure> refuse(const std::string& operation) const {
    if (data_.damaged)
      return failure{ec::corrupt_cache, "the file is damaged", {}, {}, {}};
    const auto at = data_.failing.find(operation);
    return at == data_.failing.end() ? std::nullopt : std::optional{at->second};
  }
  memory_cache::repository* claimed(const store::repository_claim& claim) {
    const auto at = data_.rows.find(claim.uid);
    return at == data_.rows.end() || at->second.fence != claim.fence ? nullptr : &at->second;
  }
  static void keep(memory_cache::repository& row, const durable_state& state) {
    const auto fence = row.state.fence;
    const auto uid = row.state.uid;
    const auto revisions = row.state.revisions;
    row.state = state;
    row.state.key = row.key;
    row.state.uid = uid;
    row.state.fence = fence;
    row.state.revisions = revisions;
  }
  void log(const char* operation, const object_key& key) { data_.log.push_back(std::string{operation} + " " + to_string(key)); }

  memory_cache& data_;
};

class memory_cache_reader : public store::package_cache_reader {
public:
  explicit memory_cache_reader(const memory_cache& data) : data_(data) {}
  result<std::vector<store::snapshot_entry>> snapshot(const std::string& uid) override {
    std::vector<store::snapshot_entry> out;
    if (const auto at = data_.rows.find(uid); at != data_.rows.end())
      for (const auto& [name, revision] : at->second.revisions)
        out.push_back({name, revision.digest()});
    return out;
  }
  result<std::vector<oid>> missing_trees(const std::vector<oid>& trees, std::uint64_t max_resource_bytes) override {
    std::vector<oid> out;
    for (const auto& id : trees)
      if (const auto at = data_.trees.find(id); at == data_.trees.end() || fits_at(at->second) <= max_resource_bytes)
        out.push_back(id);
    return out;
  }
  result<std::vector<store::incomplete_revision>> incomplete_revisions(const std::string& uid) override {
    std::vector<store::incomplete_revision> out;
    if (const auto at = data_.rows.find(uid); at != data_.rows.end())
      for (const auto& [name, revision] : at->second.revisions)
        if (data_.losses.contains(revision.tree))
          out.push_back({name, revision.ref, revision.self_lock.directory, revision.tree});
    return out;
  }
  result<std::vector<store::tree_losses>> losses(const std::vector<oid>& trees, std::size_t named) override {
    std::vector<store::tree_losses> out;
    for (const auto& id : trees)
      if (const auto at = data_.losses.find(id); at != data_.losses.end()) {
        auto& lost = out.emplace_back(at->second);
        lost.first.resize(std::min(lost.first.size(), named));
        named -= lost.first.size();
      }
    return out;
  }
  result<std::vector<oid>> missing_contents(const std::vector<oid>& blobs) override { return missing(blobs, data_.contents); }
  result<std::optional<durable_state>> state(const std::string& uid) override {
    const auto at = data_.rows.find(uid);
    return at == data_.rows.end() ? std::optional<durable_state>{} : at->second.state;
  }
  result<std::vector<durable_state>> states() override {
    std::vector<durable_state> out;
    for (const auto& [uid, row] : data_.rows)
      out.push_back(row.state);
    return out;
  }
  result<std::int64_t> list(const store::revision_query&, const std::function<bool(const store::cached_revision&)>&) override { return data_.position; }
  result<std::uint64_t> count(const store::revision_query&) override { return std::uint64_t{0}; }
  result<std::optional<store::cached_revision>> get(const object_key&) override { return std::optional<store::cached_revision>{}; }
  result<std::vector<std::pair<package_file, std::string>>> resources(const oid&) override { return std::vector<std::pair<package_file, std::string>>{}; }
  result<std::vector<store::feed_entry>> feed_after(std::int64_t, std::size_t) override { return std::vector<store::feed_entry>{}; }
  result<std::int64_t> feed_position() override { return data_.position; }

private:
  static std::vector<oid> missing(const std::vector<oid>& wanted, const std::set<oid>& stored) {
    std::vector<oid> out;
    std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(out), [&](const oid& id) { return !stored.contains(id); });
    return out;
  }
  const memory_cache& data_;
};

} // namespace veranda::test
