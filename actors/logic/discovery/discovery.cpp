#include "actors/logic/discovery/discovery.hpp"

#include "actors/logic/discovery/assembly.hpp"
#include "actors/logic/discovery/history.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"
#include "actors/logic/discovery/trees.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_set>

namespace veranda::logic {

namespace {

failure texts_full() { return {ec::too_large, "the refs hold more names than are remembered of a remote; remove refs that are not needed", {}, {}, {}}; }

constexpr std::array package_kinds{ref_kind::tag, ref_kind::draft, ref_kind::proposed};

failure no_refs(const discovery_request& request) {
  return {ec::internal, "a discovery needs a table of refs", to_string(request.repository), {}, {}};
}

class discoverer {
public:
  discoverer(const discovery_request& request, session& s) : request_(request), s_(s), history_(s), trees_(s) {}

  result<discovery_result> run() {
    if (auto done = find(); !done)
      return std::move(done).error();
    auto revisions = assembly{request_, s_, found_, bad_}.all();
    if (!revisions)
      return std::move(revisions).error();
    out_.revisions = *std::move(revisions);
    out_.bad_count = bad_.count();
    out_.bad = bad_.take();
    return std::move(out_);
  }

  result<discovery_changes> compare(std::vector<cached_entry>&& cached, sync_basis&& basis) {
    if (auto done = find(); !done)
      return std::move(done).error();
    discovery_changes changes{{}, out_.branch_commit, out_.directory_missing};
    if (auto compared = assembly{request_, s_, found_, bad_}.compare(std::move(cached), changes.delta); !compared)
      return std::move(compared).error();
    changes.delta.stats.bad = bad_.count();
    changes.delta.bad = bad_.take();
    changes.delta.basis = std::move(basis);
    changes.delta.basis.commit = out_.branch_commit.is_zero() ? std::string{} : out_.branch_commit.hex();
    return changes;
  }

private:
  result<void> find() {
    found_.reserve(request_.refs->refs.size());
    read_deletion_proposals();
    if (auto done = take_branch(); !done)
      return std::move(done).error();
    if (auto done = learn_refs(); !done)
      return done;
    for (const ref_kind kind : package_kinds)
      if (auto done = take_refs(kind); !done)
        return done;
    report_unreadable_commits();
    mark_deletion_proposed();
    return {};
  }

  /// Calls `f(ref, parsed)` for every ref of the kind that may concern this directory; `f` answers a `result<void>`.
  template <class F>
  result<void> each_ref(ref_kind kind, F f) {
    std::string prefix{prefix_of(kind)};
    if (!request_.directory.empty())
      prefix.append(request_.directory) += '/';
    const auto& refs = request_.refs->refs;
    auto at = std::lower_bound(refs.begin(), refs.end(), prefix, [](const ref_entry& r, const std::string& name) { return r.name < name; });
    for (; at != refs.end() && at->name.starts_with(prefix); ++at) {
      const parsed_ref parsed = parse_ref(at->name);
      if (parsed.kind != kind)
        continue;
      if (auto done = f(*at, parsed); !done)
        return done;
    }
    return {};
  }

  void read_deletion_proposals() {
    const std::size_t prefix = prefix_of(ref_kind::deletion_proposed).size();
    (void)each_ref(ref_kind::deletion_proposed, [&](const ref_entry& ref, const parsed_ref&) {
      deletions_.insert(std::string_view{ref.name}.substr(prefix));
      return result<void>{};
    });
  }

  void report(std::string_view ref, std::string reason) { bad_.add(printable(ref), std::move(reason), true); }

  // -- the registered branch

  result<void> take_branch() {
    const ref_entry* ref = request_.refs->find(std::string{heads_prefix} + request_.branch);
    if (ref == nullptr)
      return {};
    auto tip = history_.resolve(ref->target, false);
    if (!tip)
      return std::move(tip).error();
    if (tip->commit == none)
      return failure{ec::unsupported, "the branch cannot be read: its target " + tip->problem, printable(ref->name), {}, {}};
    heads_.push_back(tip->commit);
    out_.branch_commit = s_.index.commits[tip->commit].id;
    auto start = find_start(ref->name, tip->commit);
    if (!start)
      return std::move(start).error();
    out_.directory_missing = start->is_zero();
    return start->is_zero() ? result<void>{} : walk_branch(*ref, tip->commit, *start);
  }

  /// The tree of the repository's directory, zero when there is none; remembered as long as the branch stays.
  result<oid> find_start(std::string_view ref, std::uint32_t tip) {
    auto& texts = s_.index.texts;
    walk_record r;
    r.branch = texts.intern(request_.branch);
    r.directory = texts.intern(request_.directory);
    r.commit = tip;
    r.used = s_.index.runs;
    if (r.branch == none || r.directory == none)
      return texts_full();
    auto& walks = s_.index.walks;
    const auto at = std::find_if(walks.begin(), walks.end(), [&](const walk_record& w) { return w.branch == r.branch && w.directory == r.directory; });
    if (at != walks.end() && at->commit == tip) {
      at->used = r.used;
      return at->root;
    }
    auto start = trees_.find(s_.index.commits[tip].tree, request_.directory);
    if (!start)
      return std::move(start).error();
    if (!start->problem.empty()) {
      report(ref, "the way to the directory " + printable(request_.directory) + ' ' + start->problem);
      return oid{};
    }
    r.root = start->tree;
    s_.index.changed = true;
    if (at == walks.end())
      walks.push_back(r);
    else
      *at = r;
    return r.root;
  }

  result<void> walk_branch(const ref_entry& ref, std::uint32_t tip, const oid& start) {
    auto packages = trees_.walk(start, printable(ref.name), request_.directory, bad_);
    if (!packages)
      return std::move(packages).error();
    branch_history newest{s_, history_, tip};
    const text_id workspace = s_.index.texts.intern(request_.branch);
    if (workspace == none)
      return texts_full();
    for (branch_package& package : *packages) {
      const std::string& path = paths_.emplace_back(request_.directory.empty() ? std::move(package.path) : request_.directory + '/' + package.path);
      if (const std::string problem = path_problem(path); !problem.empty()) {
        report(ref.name + ':' + path, "the package's path " + problem);
        continue;
      }
      candidate& c = found_.emplace_back();
      c.full_path = path;
      c.ref = ref.name;
      c.from_branch = true;
      c.revision = branch_revision(request_.branch);
      c.workspace = request_.branch;
      c.last = request_.branch;
      c.tree = package.tree;
      c.facts = package.facts;
      c.commit = tip;
      c.subject = s_.index.texts.intern(path);
      if (c.subject == none)
        return texts_full();
      c.publication = newest.newest_of(c.subject);
      c.task = history_.task_of(tip, c.subject, workspace);
      if (auto on = s_.go_on(); !on)
        return on;
    }
    return {};
  }

  // -- tags, drafts, proposed

  result<void> take_refs(ref_kind kind) {
    return each_ref(kind, [&](const ref_entry& ref, const parsed_ref& parsed) { return take_ref(ref, parsed); });
  }

  result<void> take_ref(const ref_entry& ref, const parsed_ref& parsed) {
    if (parsed.path.empty()) {
      report(ref.name, "has no package path: a draft or proposed branch is named <kind>/<package path>/<workspace>");
      return {};
    }
    const std::uint32_t number = s_.index.find_ref(ref.target, ref.name);
    ref_record& r = s_.index.refs[number];
    r.used = s_.index.runs;
    if (r.commit != none)
      heads_.push_back(r.commit);
    if (r.status == ref_status::bad)
      report(ref.name, std::string{s_.index.texts[r.problem]});
    else if (r.status == ref_status::absent && parsed.kind != ref_kind::tag)
      report(ref.name, "holds no package: there is no Kptfile at " + printable(parsed.path));
    else if (r.status == ref_status::package)
      add_candidate(ref, parsed, number);
    return {};
  }

  void add_candidate(const ref_entry& ref, const parsed_ref& parsed, std::uint32_t number) {
    const ref_record& r = s_.index.refs[number];
    candidate& c = found_.emplace_back();
    c.full_path = parsed.path;
    c.ref = ref.name;
    c.last = parsed.last;
    c.lifecycle = parsed.kind == ref_kind::tag ? lifecycle::published : parsed.kind == ref_kind::draft ? lifecycle::draft : lifecycle::proposed;
    c.revision = r.revision;
    c.subject = number;
    c.tree = r.tree;
    c.commit = r.commit;
    c.publication = r.commit;
    c.facts = r.facts;
    c.task = r.task;
    workspaces_.push_back(r.workspace); // a view only when no more texts are added
    workspace_of_.push_back(found_.size() - 1);
  }

  /// Learns the refs that are new: their commits first, then the packages from the newest commit to the oldest. Trees of neighbouring commits are
  /// stored as differences from each other, so a reader that has just made one makes the next with little effort.
  result<void> learn_refs() {
    struct new_ref {
      ref_record record;
      parsed_ref parsed;
    };
    std::vector<new_ref> todo;
    for (const ref_kind kind : package_kinds) {
      auto done = each_ref(kind, [&](const ref_entry& ref, const parsed_ref& parsed) -> result<void> {
        if (parsed.path.empty() || s_.index.find_ref(ref.target, ref.name) != none)
          return {};
        auto begun = begin_ref(ref, parsed);
        if (!begun)
          return std::move(begun).error();
        if (begun->commit == none)
          s_.index.add(*begun);
        else
          todo.push_back({*begun, parsed});
        return {};
      });
      if (!done)
        return done;
    }
    std::stable_sort(todo.begin(), todo.end(), [](const new_ref& a, const new_ref& b) { return a.record.commit > b.record.commit; });
    for (const new_ref& ref : todo) {
      auto learnt = learn_package(ref.record, ref.parsed);
      if (!learnt)
        return std::move(learnt).error();
      if (auto on = s_.go_on(); !on)
        return on;
      s_.index.add(*learnt);
    }
    return {};
  }

  /// A ref's name and commit. Without a commit the record is complete, and bad.
  result<ref_record> begin_ref(const ref_entry& ref, const parsed_ref& parsed) {
    ref_record r;
    r.target = ref.target;
    r.name = s_.index.texts.intern(ref.name);
    if (r.name == none)
      return texts_full();
    for (const std::string_view part : {parsed.path, parsed.last})
      if (const std::string problem = path_problem(part); !problem.empty())
        return bad_ref(r, "its name " + problem);
    auto commit = history_.resolve(ref.target, parsed.kind == ref_kind::tag);
    if (!commit)
      return std::move(commit).error();
    if (commit->commit == none)
      return bad_ref(r, commit->problem);
    r.commit = commit->commit;
    return r;
  }

  result<ref_record> learn_package(ref_record r, const parsed_ref& parsed) {
    auto tree = trees_.find(s_.index.commits[r.commit].tree, parsed.path);
    if (!tree)
      return std::move(tree).error();
    if (!tree->problem.empty())
      return bad_ref(r, "a directory on the way to its package " + tree->problem);
    r.status = ref_status::absent;
    if (tree->tree.is_zero())
      return r;
    auto loaded = trees_.load(tree->tree);
    if (!loaded)
      return std::move(loaded).error();
    const tree_record& record = s_.index.trees[*loaded];
    if (record.kind != tree_kind::package)
      return record.problem == 0 ? result<ref_record>{r} : bad_ref(r, "its package " + std::string{s_.index.texts[record.problem]});
    r.status = ref_status::package;
    r.tree = tree->tree;
    r.facts = record.facts;
    return name_revision(r, parsed);
  }

  /// Revision, workspace (4.5) and task (4.7).
  result<ref_record> name_revision(ref_record r, const parsed_ref& parsed) {
    const text_id package = s_.index.texts.find(parsed.path);
    r.revision = parsed.kind == ref_kind::tag ? revision_number(parsed.last) : 0;
    if (parsed.kind == ref_kind::tag && r.revision != -1) {
      r.workspace = package == none ? 0 : own_workspace(r.commit, package);
      if (r.workspace == 0)
        r.workspace = s_.index.texts.intern('v' + std::to_string(r.revision));
    } else {
      r.workspace = s_.index.texts.intern(parsed.last);
    }
    if (r.workspace == none)
      return texts_full();
    if (package != none)
      r.task = history_.task_of(r.commit, package, r.workspace);
    return r;
  }

  /// The workspace that the commit itself names for the package, or 0.
  text_id own_workspace(std::uint32_t commit, text_id package) const {
    const commit_record& r = s_.index.commits[commit];
    for (std::uint32_t a = r.first_annotation; a < r.first_annotation + r.annotation_count; ++a)
      if (s_.index.annotations[a].package == package && s_.index.annotations[a].workspace != 0)
        return s_.index.annotations[a].workspace;
    return 0;
  }

  result<ref_record> bad_ref(ref_record r, std::string_view problem) {
    r.status = ref_status::bad;
    r.problem = s_.index.texts.intern(problem);
    if (r.problem == none)
      return texts_full();
    return r;
  }

  // -- after all refs

  void report_unreadable_commits() {
    for (const std::uint32_t commit : history_.unreadable(heads_)) {
      const commit_record& r = s_.index.commits[commit];
      bad_.add("commit " + r.id.hex(), std::string{s_.index.texts[r.problem]} + "; the history before it is unknown", false);
    }
  }

  void mark_deletion_proposed() {
    for (std::size_t i = 0; i < workspaces_.size(); ++i)
      found_[workspace_of_[i]].workspace = s_.index.texts[workspaces_[i]];
    if (deletions_.empty())
      return;
    for (candidate& c : found_)
      if (c.lifecycle == lifecycle::published && deletions_.contains(deletion_name(c.full_path, c.revision, c.workspace)))
        c.lifecycle = lifecycle::deletion_proposed;
  }

  const discovery_request& request_;
  session& s_;
  history history_;
  tree_store trees_;
  discovery_result out_;
  bad_items bad_;
  std::vector<candidate> found_;
  std::vector<text_id> workspaces_;
  std::vector<std::size_t> workspace_of_;
  std::vector<std::uint32_t> heads_;
  std::deque<std::string> paths_; ///< of branch packages; candidates hold views
  std::unordered_set<std::string_view> deletions_;
};

} // namespace

result<discovery_result> discover(const discovery_request& request, object_reader& reader, package_decoder& decoder, discovery_index& index,
                                  const cancel_token& cancel) {
  if (!request.refs)
    return no_refs(request);
  session s{reader, decoder, index.access(), request.limits, cancel};
  s.index.begin_run(request.limits);
  return discoverer{request, s}.run();
}

result<discovery_changes> discover_changes(const discovery_request& request, std::vector<cached_entry> cached, sync_basis basis, object_reader& reader,
                                           package_decoder& decoder, discovery_index& index, const cancel_token& cancel) {
  if (!request.refs)
    return no_refs(request);
  session s{reader, decoder, index.access(), request.limits, cancel};
  s.index.begin_run(request.limits);
  return discoverer{request, s}.compare(std::move(cached), std::move(basis));
}

} // namespace veranda::logic
