#pragma once

#include "adapters/api/api_server.hpp"

#include <algorithm>
#include <map>
#include <mutex>

namespace veranda::test {

/// A package cache in memory with a change feed that can forget. Shared by its readers; thread safe.
struct fake_cache {
  std::mutex mutex;
  std::map<object_key, store::cached_revision> rows;
  std::vector<store::feed_entry> feed;
  std::int64_t position = 0;
  std::int64_t forgotten = 0; ///< entries up to here are gone
  std::map<oid, std::vector<std::pair<package_file, std::string>>> trees;

  void put(const std::string& ns, const std::string& repository, const std::string& package, std::int64_t revision, bool latest = true,
           lifecycle state = lifecycle::published) {
    const std::lock_guard lock{mutex};
    store::cached_revision row;
    row.repository = {ns, repository};
    row.revision.key.package = package;
    row.revision.key.workspace = "v" + std::to_string(revision);
    row.revision.key.revision = revision;
    row.revision.name = repository + "." + package + "." + row.revision.key.workspace;
    row.revision.uid = "uid-" + row.revision.name;
    row.revision.latest = latest;
    row.revision.lifecycle = state;
    row.resource_version = std::to_string(++position);
    const auto known = rows.contains({ns, row.revision.name});
    feed.push_back({position, known ? store::feed_event::modified : store::feed_event::added, row});
    rows[{ns, row.revision.name}] = row;
  }
  void remove(const object_key& key) {
    const std::lock_guard lock{mutex};
    feed.push_back({++position, store::feed_event::deleted, rows.at(key)});
    rows.erase(key);
  }
  void forget_all() {
    const std::lock_guard lock{mutex};
    forgotten = position;
    feed.clear();
  }
};

class fake_cache_reader final : public store::package_cache_reader {
public:
  explicit fake_cache_reader(fake_cache& cache) : cache_(cache) {}
  result<std::vector<store::snapshot_entry>> snapshot(const std::string&) override { return std::vector<store::snapshot_entry>{}; }
  result<std::vector<oid>> missing_trees(const std::vector<oid>&, std::uint64_t) override { return std::vector<oid>{}; }
  result<std::vector<store::incomplete_revision>> incomplete_revisions(const std::string&) override { return std::vector<store::incomplete_revision>{}; }
  result<std::vector<store::tree_losses>> losses(const std::vector<oid>&, std::size_t) override { return std::vector<store::tree_losses>{}; }
  result<std::vector<oid>> missing_contents(const std::vector<oid>&) override { return std::vector<oid>{}; }
  result<std::optional<durable_state>> state(const std::string&) override { return std::optional<durable_state>{}; }
  result<std::vector<durable_state>> states() override { return std::vector<durable_state>{}; }
  result<std::int64_t> list(const store::revision_query& q, const std::function<bool(const store::cached_revision&)>& f) override {
    const std::lock_guard lock{cache_.mutex};
    for (const auto& [key, row] : cache_.rows)
      if ((q.ns.empty() || key.ns == q.ns) && (q.name.empty() || key.name == q.name) && (q.repository.empty() || row.repository.name == q.repository) && (q.after.name.empty() || q.after < key))
        if (!f(row))
          break;
    return cache_.position;
  }
  result<std::uint64_t> count(const store::revision_query& q) override {
    std::uint64_t n = 0;
    if (const auto listed = list(q, [&n](const store::cached_revision&) { return ++n, true; }); !listed)
      return listed.error();
    return n;
  }
  result<std::optional<store::cached_revision>> get(const object_key& key) override {
    const std::lock_guard lock{cache_.mutex};
    const auto found = cache_.rows.find(key);
    return found == cache_.rows.end() ? std::optional<store::cached_revision>{} : found->second;
  }
  result<std::vector<std::pair<package_file, std::string>>> resources(const oid& tree) override {
    const std::lock_guard lock{cache_.mutex};
    return cache_.trees[tree];
  }
  result<std::vector<store::feed_entry>> feed_after(std::int64_t position, std::size_t limit) override {
    const std::lock_guard lock{cache_.mutex};
    if (position < cache_.forgotten || position > cache_.position)
      return failure{ec::stale, "the feed does not reach back that far", {}, {}, {}};
    std::vector<store::feed_entry> out;
    for (const auto& e : cache_.feed)
      if (e.position > position && out.size() < limit)
        out.push_back(e);
    return out;
  }
  result<std::int64_t> feed_position() override {
    const std::lock_guard lock{cache_.mutex};
    return cache_.position;
  }

private:
  fake_cache& cache_;
};

} // namespace veranda::test
