#include "actors/logic/discovery/index.hpp"

namespace veranda::logic {

namespace {

/// Refs and walks that no run has looked at for so long are forgotten.
constexpr std::uint32_t kept_runs = 64;
/// An index that has grown by less is left alone.
constexpr std::uint64_t least_growth = 8192;

/// Copies what is needed out of `from`, giving new numbers.
class compactor {
public:
  explicit compactor(const index_content& from)
      : from_(from), commits_(from.commits.size(), none), facts_(from.facts.size(), none), trees_(from.trees.size(), false),
        texts_(from.texts.size(), none), refs_(from.refs.size(), none) {
    tree_index_.rebuild(from.trees.size(), [&](std::uint32_t n) { return oid_hash{}(from.trees[n].id); });
  }

  index_content run() {
    to_.limits_hash = from_.limits_hash;
    to_.runs = from_.runs;
    copy_commits();
    copy_targets();
    for (std::size_t n = 0; n < from_.refs.size(); ++n)
      if (is_recent(from_.refs[n].used)) {
        refs_[n] = static_cast<std::uint32_t>(to_.refs.size());
        copy_ref(from_.refs[n]);
      }
    for (const walk_record& r : from_.walks)
      if (is_recent(r.used))
        copy_walk(r);
    for (const row_record& r : from_.rows)
      if (is_recent(r.used))
        copy_row(r);
    to_.baseline = to_.records();
    return std::move(to_);
  }

private:
  [[nodiscard]] bool is_recent(std::uint32_t used) const { return used + kept_runs >= from_.runs; }

  text_id text(text_id id) {
    if (texts_[id] == none)
      texts_[id] = to_.texts.intern(from_.texts[id]);
    return texts_[id];
  }

  std::uint32_t facts(std::uint32_t number) {
    if (number == none)
      return none;
    if (facts_[number] == none) {
      facts_[number] = static_cast<std::uint32_t>(to_.facts.size());
      facts_record r = from_.facts[number];
      r.facts = text(r.facts);
      to_.facts.push_back(r);
    }
    return facts_[number];
  }

  std::uint32_t commit(std::uint32_t number) const { return number == none ? none : commits_[number]; }

  void copy_commits() {
    std::vector<bool> wanted(from_.commits.size());
    const auto want = [&](std::uint32_t number) {
      if (number != none)
        wanted[number] = true;
    };
    for (const ref_record& r : from_.refs)
      if (is_recent(r.used))
        want(r.commit);
    for (const walk_record& r : from_.walks)
      if (is_recent(r.used))
        want(r.commit);
    for (std::size_t n = from_.commits.size(); n-- > 0;)
      if (wanted[n])
        for (std::uint32_t p = 0; p < from_.commits[n].parent_count; ++p)
          want(from_.parents[from_.commits[n].first_parent + p]);
    annotations_.assign(from_.annotations.size(), none);
    for (std::uint32_t n = 0; n < from_.commits.size(); ++n)
      if (wanted[n])
        copy_commit(n);
  }

  void copy_commit(std::uint32_t number) {
    const commit_record& old = from_.commits[number];
    commit_record r = old;
    commits_[number] = static_cast<std::uint32_t>(to_.commits.size());
    r.jump = commits_[old.jump];
    r.author = text(old.author);
    r.problem = text(old.problem);
    r.first_parent = static_cast<std::uint32_t>(to_.parents.size());
    for (std::uint32_t p = 0; p < old.parent_count; ++p)
      to_.parents.push_back(commits_[from_.parents[old.first_parent + p]]);
    r.first_annotation = static_cast<std::uint32_t>(to_.annotations.size());
    for (std::uint32_t a = old.first_annotation; a < old.first_annotation + old.annotation_count; ++a) {
      annotations_[a] = static_cast<std::uint32_t>(to_.annotations.size());
      annotation_record copy = from_.annotations[a];
      copy.commit = commits_[number];
      copy.package = text(copy.package);
      copy.workspace = text(copy.workspace);
      copy.revision = text(copy.revision);
      copy.task = text(copy.task);
      to_.annotations.push_back(copy);
    }
    to_.commits.push_back(r);
  }

  void copy_targets() {
    std::vector<oid> wanted;
    for (const ref_record& r : from_.refs)
      if (is_recent(r.used))
        wanted.push_back(r.target);
    std::sort(wanted.begin(), wanted.end());
    for (target_record r : from_.targets)
      if (std::binary_search(wanted.begin(), wanted.end(), r.id)) {
        r.problem = text(r.problem);
        to_.targets.push_back(r);
      }
  }

  void copy_ref(ref_record r) {
    r.name = text(r.name);
    r.problem = text(r.problem);
    r.workspace = text(r.workspace);
    r.commit = commit(r.commit);
    r.facts = facts(r.facts);
    r.task = r.task == none ? none : annotations_[r.task];
    copy_trees(r.tree, false);
    to_.refs.push_back(r);
  }

  void copy_walk(walk_record r) {
    r.branch = text(r.branch);
    r.directory = text(r.directory);
    r.commit = commit(r.commit);
    copy_trees(r.root, true);
    to_.walks.push_back(r);
  }

  /// A row whose ref, commit or annotation goes is of no use.
  void copy_row(row_record r) {
    const std::uint32_t publication = commit(r.publication);
    const std::uint32_t task = r.task == none ? none : annotations_[r.task];
    const std::uint32_t subject = r.from_branch() ? text(r.subject) : refs_[r.subject];
    if (subject == none || (publication == none) != (r.publication == none) || (task == none) != (r.task == none))
      return;
    r.subject = subject;
    r.publication = publication;
    r.task = task;
    to_.rows.push_back(r);
  }

  void copy_trees(const oid& root, bool whole) {
    std::vector<oid> todo{root};
    while (!todo.empty()) {
      const oid id = todo.back();
      todo.pop_back();
      const std::uint32_t n = tree_index_.find(oid_hash{}(id), [&](std::uint32_t t) { return from_.trees[t].id == id; });
      if (n == none || (trees_[n] && !whole))
        continue;
      if (!trees_[n]) {
        trees_[n] = true;
        copy_tree(from_.trees[n]);
      } else if (walked_.size() > n && walked_[n]) {
        continue;
      }
      if (!whole)
        continue;
      walked_.resize(from_.trees.size());
      walked_[n] = true;
      for (std::uint32_t c = 0; c < from_.trees[n].child_count; ++c)
        todo.push_back(from_.children[from_.trees[n].first_child + c].id);
    }
  }

  void copy_tree(const tree_record& old) {
    tree_record r = old;
    r.problem = text(old.problem);
    r.facts = facts(old.facts);
    r.first_child = static_cast<std::uint32_t>(to_.children.size());
    for (std::uint32_t c = 0; c < old.child_count; ++c) {
      child_record child = from_.children[old.first_child + c];
      child.name = text(child.name);
      to_.children.push_back(child);
    }
    to_.trees.push_back(r);
  }

  const index_content& from_;
  index_content to_;
  std::vector<std::uint32_t> commits_;
  std::vector<std::uint32_t> annotations_;
  std::vector<std::uint32_t> facts_;
  std::vector<bool> trees_;
  std::vector<bool> walked_;
  std::vector<text_id> texts_;
  std::vector<std::uint32_t> refs_;
  flat_index tree_index_;
};

} // namespace

index_content compacted(const index_content& content) { return compactor{content}.run(); }

bool needs_compaction(const index_content& content) { return content.records() > 2 * content.baseline + least_growth; }

} // namespace veranda::logic
