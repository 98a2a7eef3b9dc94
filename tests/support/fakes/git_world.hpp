#pragma once

#include "adapters/git/git_client.hpp"
#include "tests/support/memory_objects.hpp"

#include <map>
#include <set>

namespace veranda::test {

/// Remotes in memory, by URL, and the mirrors made of them. Failures are scripted, calls are counted.
struct git_world {
  struct remote {
    memory_objects objects;
    std::optional<failure> listing_fails;
    std::optional<failure> fetch_fails;
    std::optional<failure> push_fails;
    unsigned listings = 0;
    unsigned fetches = 0;
    unsigned pushes = 0;
    std::vector<git::ref_prefixes> asked; ///< by each listing
    std::int64_t commits = 0;
  };
  struct mirror_data {
    std::string identity;
    memory_objects objects;
    ref_table_ptr refs = std::make_shared<const ref_table>();
    std::string index;
    std::uint64_t bytes = 1000; ///< on the disk
    wall_time last_used{};
  };
  std::map<std::string, remote> remotes;
  std::map<std::string, mirror_data> mirrors; ///< by directory

  /// Commits these files as the new tip of a branch; parent is the old tip.
  oid commit(const std::string& url, const std::string& branch, const file_map& files) {
    auto& r = remotes[url];
    std::vector<oid> parents;
    const auto ref = "refs/heads/" + branch;
    if (const auto tip = r.objects.refs().find(ref); tip != r.objects.refs().end())
      parents.push_back(tip->second);
    ++r.commits;
    const auto id = r.objects.commit(r.objects.tree(files), parents, {"a@example.com", 1'700'000'000 + r.commits, 1'700'000'000 + r.commits}, "change\n");
    r.objects.set_ref(ref, id);
    return id;
  }
  /// A package at `path` on the branch and a tag `path/v<n>` for its published revision.
  oid publish(const std::string& url, const std::string& branch, const std::string& path, int revision, const std::string& text = "x: 1\n") {
    const auto id = commit(url, branch, {{path + "/Kptfile", kptfile(path)}, {path + "/a.yaml", text + "# " + std::to_string(revision) + "\n"}});
    remotes[url].objects.set_ref("refs/tags/" + path + "/v" + std::to_string(revision), id);
    return id;
  }

  result<git::listing> list(const std::string& url, const git::ref_prefixes& prefixes, const std::string& known) {
    const auto at = remotes.find(url);
    if (at == remotes.end())
      return failure{ec::unreachable, "no such host", {}, {}, {}};
    auto& r = at->second;
    ++r.listings;
    r.asked.push_back(prefixes);
    if (r.listing_fails)
      return *r.listing_fails;
    auto table = std::make_shared<ref_table>();
    sha256_hasher hasher;
    const auto all = r.objects.table();
    for (const auto& ref : all->refs)
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& p) { return p == ref.name || (p.ends_with('/') && ref.name.starts_with(p)); })) {
        hasher.update_field(ref.name + ref.target.hex());
        table->refs.push_back(ref);
      }
    git::listing listed;
    listed.digest = to_hex(hasher.finish());
    if (listed.digest != known)
      listed.refs = std::move(table);
    return listed;
  }
};

class fake_mirror final : public git::mirror {
public:
  fake_mirror(git_world::mirror_data& data, std::filesystem::path path) : data_(data), path_(std::move(path)) {}
  ref_table_ptr refs() const override { return data_.refs; }
  logic::object_reader& objects() override { return data_.objects; }
  bool contains(const oid& id) override { return data_.objects.peek(id) != nullptr; }
  std::string load_index() override { return data_.index; }
  result<void> save_index(std::string_view image) override {
    data_.index = image;
    return {};
  }
  result<void> settle() override { return {}; }
  result<void> tidy(const cancel_token&) override { return {}; }
  std::size_t pack_count() const override { return 1; }
  const std::filesystem::path& path() const override { return path_; }
  git_world::mirror_data& data() { return data_; }

private:
  git_world::mirror_data& data_;
  std::filesystem::path path_;
};

class fake_git_client : public git::git_client {
public:
  explicit fake_git_client(git_world& world) : world_(world) {}
  result<std::unique_ptr<git::mirror>> open_mirror(const std::filesystem::path& dir, const std::string& identity) override {
    auto& data = world_.mirrors[dir.string()];
    if (data.identity.empty())
      data.identity = identity;
    if (data.identity != identity)
      return failure{ec::conflict, "the mirror belongs to another remote", dir.string(), {}, {}};
    return std::unique_ptr<git::mirror>{std::make_unique<fake_mirror>(data, dir)};
  }
  result<void> remove_mirror(const std::filesystem::path& dir) override {
    world_.mirrors.erase(dir.string());
    return {};
  }
  std::optional<logic::mirror_use> measure_mirror(const std::filesystem::path& dir) override {
    const auto at = world_.mirrors.find(dir.string());
    if (at == world_.mirrors.end())
      return std::nullopt;
    return logic::mirror_use{dir.filename().string(), at->second.identity, at->second.bytes, at->second.last_used};
  }
  result<git::listing> list_refs(const remote_endpoint& remote, const git::ref_prefixes& prefixes, const std::string& known, const cancel_token&) override {
    return world_.list(remote.url, prefixes, known);
  }
  result<git::fetch_report> fetch(git::mirror& into, const remote_endpoint& remote, const ref_table& target, const cancel_token& cancel, bool,
                                  const std::function<void(std::uint64_t, std::uint64_t)>&) override {
    auto& from = world_.remotes.at(remote.url);
    ++from.fetches;
    if (from.fetch_fails)
      return *from.fetch_fails;
    if (cancel.expired())
      return failure{cancel.reason(), "the fetch was stopped", {}, {}, {}};
    auto& data = dynamic_cast<fake_mirror&>(into).data();
    data.objects = from.objects;
    data.refs = std::make_shared<const ref_table>(target);
    return git::fetch_report{true, 1000, 10};
  }
  /// As the real one: against a branch that is not there.
  result<void> create_branch(const remote_endpoint& remote, const git::new_branch& branch, const cancel_token&) override {
    auto& at = world_.remotes.at(remote.url);
    ++at.pushes;
    if (at.push_fails)
      return *at.push_fails;
    world_.commit(remote.url, branch.name, {{"README.md", "new\n"}});
    return {};
  }

private:
  git_world& world_;
};

} // namespace veranda::test
