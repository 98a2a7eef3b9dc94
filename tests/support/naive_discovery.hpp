#pragma once

#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "tests/support/memory_objects.hpp"

#include <set>

namespace veranda::test {

/// Section 4 of the behaviour once more, as slowly and plainly as can be: no memory, no shortcuts, everything walked for every revision. It
/// speaks of well-formed repositories; what is excluded is left out without a word.
class naive_discovery {
public:
  naive_discovery(const memory_objects& objects, logic::package_decoder& decoder, logic::discovery_request request)
      : objects_(objects), decoder_(decoder), request_(std::move(request)) {}

  std::vector<package_revision> run() {
    for (const ref_entry& ref : request_.refs->refs)
      take(ref);
    return chosen();
  }

private:
  struct history_item {
    oid id;
    logic::parsed_commit commit;
    std::vector<logic::commit_annotation> annotations;
  };

  void take(const ref_entry& ref) {
    if (ref.name == "refs/heads/" + request_.branch)
      take_branch(ref);
    if (ref.name.starts_with("refs/tags/"))
      take_pointer(ref, ref.name.substr(10), lifecycle::published);
    if (ref.name.starts_with("refs/heads/drafts/"))
      take_pointer(ref, ref.name.substr(18), lifecycle::draft);
    if (ref.name.starts_with("refs/heads/proposed/"))
      take_pointer(ref, ref.name.substr(20), lifecycle::proposed);
  }

  bool is_inside(const std::string& path) const {
    return request_.directory.empty() || path == request_.directory || path.starts_with(request_.directory + "/");
  }

  std::string inside(const std::string& path) const {
    if (request_.directory.empty())
      return path;
    return path == request_.directory ? "" : path.substr(request_.directory.size() + 1);
  }

  std::optional<logic::parsed_commit> commit_at(const oid& id) const {
    const auto* object = objects_.peek(id);
    if (object == nullptr || object->type != logic::git_object_type::commit)
      return std::nullopt;
    return logic::parse_commit(object->data);
  }

  std::map<std::string, logic::tree_entry> entries(const oid& tree) const {
    std::map<std::string, logic::tree_entry> out;
    const auto* object = objects_.peek(tree);
    if (object == nullptr || object->type != logic::git_object_type::tree)
      return out;
    logic::tree_cursor cursor{object->data};
    for (logic::tree_entry e; cursor.next(e);)
      out.emplace(e.name, e);
    return out;
  }

  std::optional<oid> tree_at(oid tree, std::string path) const {
    while (!path.empty()) {
      const std::string name = path.substr(0, path.find('/'));
      path = name.size() == path.size() ? "" : path.substr(name.size() + 1);
      const auto all = entries(tree);
      const auto at = all.find(name);
      if (at == all.end() || at->second.kind != logic::entry_kind::tree)
        return std::nullopt;
      tree = at->second.id;
    }
    return tree;
  }

  std::optional<oid> kptfile_of(const oid& tree) const {
    const auto all = entries(tree);
    const auto at = all.find("Kptfile");
    if (at == all.end() || at->second.kind == logic::entry_kind::tree || at->second.kind == logic::entry_kind::submodule)
      return std::nullopt;
    return at->second.id;
  }

  /// Newest committer time first; among equal ones the one found first.
  std::vector<history_item> walk(const oid& start) const {
    std::vector<oid> waiting{start};
    std::set<oid> seen{start};
    std::vector<history_item> out;
    while (!waiting.empty()) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < waiting.size(); ++i)
        if (commit_at(waiting[i])->committed > commit_at(waiting[best])->committed)
          best = i;
      const oid id = waiting[best];
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(best));
      const auto commit = *commit_at(id);
      std::size_t dropped = 0;
      out.push_back({id, commit, decoder_.decode_annotations(commit.message, dropped)});
      for (const oid& parent : commit.parents)
        if (seen.insert(parent).second)
          waiting.push_back(parent);
    }
    return out;
  }

  void take_branch(const ref_entry& ref) {
    const auto commit = commit_at(ref.target);
    const auto start = tree_at(commit->tree, request_.directory);
    if (start)
      descend(ref, *commit, *start, request_.directory, walk(ref.target));
  }

  void descend(const ref_entry& ref, const logic::parsed_commit& commit, const oid& tree, const std::string& path, const std::vector<history_item>& past) {
    if (kptfile_of(tree) && path != request_.directory) {
      package_revision r = start_revision(ref, ref.target, path, tree);
      r.from_branch = true;
      r.key.revision = logic::revision_number(request_.branch);
      r.key.workspace = request_.branch;
      for (const history_item& item : past) {
        const bool touches = std::any_of(item.annotations.begin(), item.annotations.end(), [&](const auto& a) { return a.package == path; });
        if (touches) {
          r.published_by = std::string{item.commit.author_email};
          r.published_at = wall_time{std::chrono::seconds{item.commit.authored}};
          break;
        }
      }
      add(std::move(r), path, past);
      return;
    }
    for (const auto& [name, entry] : entries(tree))
      if (entry.kind == logic::entry_kind::tree)
        descend(ref, commit, entry.id, path.empty() ? name : path + '/' + name, past);
  }

  void take_pointer(const ref_entry& ref, const std::string& name, lifecycle stage) {
    const std::size_t slash = name.rfind('/');
    if (slash == std::string::npos)
      return;
    const std::string path = name.substr(0, slash);
    const std::string last = name.substr(slash + 1);
    if (!is_inside(path))
      return;
    oid target = ref.target;
    if (const auto* object = objects_.peek(target); stage == lifecycle::published && object != nullptr && object->type == logic::git_object_type::tag)
      target = logic::parse_tag(object->data)->object;
    const auto commit = commit_at(target);
    if (!commit)
      return;
    const auto tree = tree_at(commit->tree, path);
    if (!tree || !kptfile_of(*tree) || inside(path).empty())
      return;
    const auto past = walk(target);
    package_revision r = start_revision(ref, target, path, *tree);
    r.lifecycle = stage;
    r.published_by = std::string{commit->author_email};
    r.published_at = wall_time{std::chrono::seconds{commit->authored}};
    r.key.workspace = last;
    if (stage == lifecycle::published) {
      r.key.revision = logic::revision_number(last);
      if (r.key.revision != -1) {
        r.key.workspace = "v" + std::to_string(r.key.revision);
        for (const auto& a : past.front().annotations)
          if (a.package == path && !a.workspace.empty()) {
            r.key.workspace = a.workspace;
            break;
          }
      }
      if (r.key.revision == 0 || r.key.revision < -1)
        return;
    }
    add(std::move(r), path, past);
  }

  package_revision start_revision(const ref_entry& ref, const oid& commit, const std::string& path, const oid& tree) const {
    package_revision r;
    const std::string relative = inside(path);
    const std::size_t slash = relative.rfind('/');
    r.key.path = slash == std::string::npos ? "" : relative.substr(0, slash);
    r.key.package = slash == std::string::npos ? relative : relative.substr(slash + 1);
    r.ref = ref.name;
    r.commit = commit;
    r.tree = tree;
    r.self_lock = {request_.url, relative, ref.name.substr(ref.name.starts_with("refs/tags/") ? 10 : 11), commit.hex()};
    r.kptfile = decoder_.decode_kptfile(objects_.peek(*kptfile_of(tree))->data);
    return r;
  }

  void add(package_revision r, const std::string& path, const std::vector<history_item>& past) {
    bool done = false;
    for (const history_item& item : past)
      for (const auto& a : item.annotations) {
        const bool matches = a.package == path && (a.workspace == r.key.workspace || (a.workspace.empty() && a.revision == r.key.workspace));
        const bool counts = a.task_type == "init" || a.task_type == "edit" || a.task_type == "clone" || a.task_type == "upgrade";
        if (done || !matches || !counts)
          continue;
        r.task_json = a.task_json;
        done = a.task_type == "init" || a.task_type == "clone";
      }
    const std::string mark = "refs/heads/deletionProposed/" + path + '/' + (r.key.revision > 0 ? "v" + std::to_string(r.key.revision) : r.key.workspace);
    if (r.lifecycle == lifecycle::published && request_.refs->find(mark) != nullptr)
      r.lifecycle = lifecycle::deletion_proposed;
    std::string middle = r.key.package_name();
    std::replace(middle.begin(), middle.end(), '/', '.');
    r.name = request_.repository.name + '.' + middle + '.' + r.key.workspace;
    r.uid = uuid_v5("aac71d91-5c67-456f-8fd2-902ef6da820e", "packagerevision:porch.kpt.dev/v1alpha1/" + request_.repository.ns + '/' + r.name);
    found_.push_back(std::move(r));
  }

  static bool is_live(const package_revision& r) { return r.lifecycle == lifecycle::published || r.lifecycle == lifecycle::deletion_proposed; }

  static bool better(const package_revision& a, const package_revision& b) {
    const auto rank = [](const package_revision& r) {
      const int stage = is_live(r) ? 0 : r.lifecycle == lifecycle::draft ? 1 : 2;
      const bool canonical = r.key.revision > 0 && r.ref.ends_with("/v" + std::to_string(r.key.revision));
      return std::tuple{stage, r.from_branch, !canonical, r.ref, r.self_lock.directory};
    };
    return rank(a) < rank(b);
  }

  /// Keeps the best where two have the same name, then where two are the same positive revision of a package.
  template <class Same>
  void keep_best(Same same) {
    std::vector<package_revision> kept;
    for (const package_revision& r : found_)
      if (std::none_of(found_.begin(), found_.end(), [&](const package_revision& other) { return same(r, other) && better(other, r); }))
        kept.push_back(r);
    found_ = std::move(kept);
  }

  std::vector<package_revision> chosen() {
    keep_best([](const auto& a, const auto& b) { return a.name == b.name; });
    keep_best([](const auto& a, const auto& b) {
      return a.key.revision > 0 && a.key.revision == b.key.revision && a.key.package_name() == b.key.package_name();
    });
    for (package_revision& r : found_)
      r.latest = r.key.revision > 0 && is_live(r) && std::none_of(found_.begin(), found_.end(), [&](const package_revision& other) {
                   return is_live(other) && other.key.package_name() == r.key.package_name() && other.key.revision > r.key.revision;
                 });
    std::sort(found_.begin(), found_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return std::move(found_);
  }

  const memory_objects& objects_;
  logic::package_decoder& decoder_;
  logic::discovery_request request_;
  std::vector<package_revision> found_;
};

} // namespace veranda::test
