#include "actors/logic/discovery/history.hpp"

#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/text.hpp"

#include <unordered_map>

namespace veranda::logic {

namespace {

/// A longer address is cut: it is shown to people only.
constexpr std::size_t max_author_bytes = 1024;
constexpr std::size_t max_parents = 1000;

task_kind kind_of_task(const commit_annotation& a) {
  if (a.task_type == "init" || a.task_type == "clone")
    return task_kind::first;
  if (a.task_type == "edit" || a.task_type == "upgrade")
    return task_kind::later;
  return a.task_type.empty() ? task_kind::absent : task_kind::ignored;
}

bool has_task(const annotation_record& a) { return a.kind == task_kind::first || a.kind == task_kind::later; }

failure texts_full() { return {ec::too_large, "the history's annotations are larger than what is remembered of a remote; use a shorter history", {}, {}, {}}; }

} // namespace

/// A commit that was read but is not in the index yet.
struct history::staged {
  oid id;
  oid tree;
  std::vector<oid> parents;
  std::int64_t authored = no_time;
  std::int64_t committed = no_time;
  std::string author;
  std::string problem;
  std::vector<commit_annotation> annotations;

  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t out = parents.size() * sizeof(oid);
    for (const commit_annotation& a : annotations)
      out += sizeof a + a.package.size() + a.workspace.size() + a.revision.size() + a.task_type.size() + a.task_json.size();
    return out;
  }
};

history::staged history::stage(const oid& id, std::string_view text) {
  staged out;
  out.id = id;
  const auto parsed = parse_commit(text);
  if (!parsed) {
    out.problem = "is not a well-formed commit";
    return out;
  }
  if (parsed->parents.size() > max_parents) {
    out.problem = "has more than " + std::to_string(max_parents) + " parents";
    return out;
  }
  out.tree = parsed->tree;
  out.parents = parsed->parents;
  out.authored = parsed->authored;
  out.committed = parsed->committed;
  out.author = repaired(parsed->author_email.substr(0, max_author_bytes));
  if (parsed->message.find("kpt:") != std::string_view::npos) {
    std::size_t dropped = 0;
    out.annotations = s_.decoder.decode_annotations(parsed->message, dropped);
  }
  return out;
}

result<void> history::learn(const oid& start, git_object&& object) {
  std::vector<staged> fresh;
  std::unordered_map<oid, std::uint32_t> numbers;
  fresh.push_back(stage(start, object.data));
  numbers.emplace(start, 0);
  std::size_t bytes = 0;
  for (std::size_t next = 0; next < fresh.size(); ++next) {
    bytes += fresh[next].bytes();
    if (bytes > s_.limits.max_history_bytes) // they are together in memory before the first is remembered
      return failure{ec::too_large, "the history holds more than " + std::to_string(s_.limits.max_history_bytes) + " bytes of annotations; use a shorter history", {}, {}, {}};
    for (std::size_t p = 0; p < fresh[next].parents.size(); ++p) {
      const oid id = fresh[next].parents[p];
      if (s_.index.find_commit(id) != none || !numbers.emplace(id, static_cast<std::uint32_t>(fresh.size())).second)
        continue;
      auto parent = s_.read(id);
      if (!parent && !session::is_isolated(parent.error()))
        return std::move(parent).error();
      if (parent && parent->type == git_object_type::commit) {
        fresh.push_back(stage(id, parent->data));
      } else {
        fresh.emplace_back().id = id;
        fresh.back().problem = parent ? "is a " + std::string{to_string(parent->type)} + ", not a commit" : s_.too_large();
      }
    }
  }
  // Parents first: depth first, each commit once its parents are in.
  struct frame {
    std::uint32_t commit;
    std::size_t next_parent;
  };
  std::vector<frame> stack{{0, 0}};
  std::vector<bool> open(fresh.size());
  open[0] = true;
  while (!stack.empty()) {
    frame& top = stack.back();
    const staged& commit = fresh[top.commit];
    if (top.next_parent == commit.parents.size()) {
      if (!append(commit)) {
        s_.index.adopt({}); // a half-learnt commit must not stay
        return texts_full();
      }
      stack.pop_back();
      continue;
    }
    const oid& parent = commit.parents[top.next_parent++];
    if (s_.index.find_commit(parent) != none)
      continue;
    const std::uint32_t number = numbers.at(parent);
    if (open[number])
      return failure{ec::checksum_mismatch, "a commit is in its own history", parent.hex(), {}, {}};
    open[number] = true;
    stack.push_back({number, 0});
  }
  return {};
}

bool history::append(const staged& commit) {
  auto& index = s_.index;
  const auto number = static_cast<std::uint32_t>(index.commits.size());
  commit_record r;
  r.id = commit.id;
  r.tree = commit.tree;
  r.committed = commit.committed;
  r.authored = commit.authored;
  r.first_parent = static_cast<std::uint32_t>(index.parents.size());
  r.parent_count = static_cast<std::uint32_t>(commit.parents.size());
  r.first_annotation = static_cast<std::uint32_t>(index.annotations.size());
  r.annotation_count = static_cast<std::uint32_t>(commit.annotations.size());
  r.author = index.texts.intern(commit.author);
  r.problem = index.texts.intern(commit.problem);
  r.monotone = 1;
  r.problem_below = r.problem != 0 ? 1 : 0;
  r.jump = number;
  bool complete = r.author != none && r.problem != none;
  for (const oid& id : commit.parents) {
    const std::uint32_t parent = index.find_commit(id);
    const commit_record& p = index.commits[parent];
    index.parents.push_back(parent);
    r.generation = std::max(r.generation, p.generation);
    r.monotone &= p.monotone & (p.committed <= r.committed ? 1U : 0U);
    r.problem_below |= p.problem_below;
  }
  ++r.generation;
  if (commit.parents.size() == 1) { // skew-binary jumps: any height of the run is reached in logarithmic time
    const std::uint32_t parent = index.parents.back();
    const commit_record& p = index.commits[parent];
    const commit_record& q = index.commits[p.jump];
    r.depth = p.depth + 1;
    r.jump = p.depth - q.depth == q.depth - index.commits[q.jump].depth ? q.jump : parent;
  }
  for (const commit_annotation& a : commit.annotations) {
    annotation_record record;
    record.commit = number;
    record.package = index.texts.intern(a.package);
    record.workspace = index.texts.intern(a.workspace);
    record.revision = index.texts.intern(a.revision);
    record.kind = kind_of_task(a);
    record.task = has_task(record) ? index.texts.intern(a.task_json) : 0;
    complete = complete && record.package != none && record.workspace != none && record.revision != none && record.task != none;
    if (!complete)
      return false;
    index.add(record);
  }
  if (complete)
    index.add(r);
  return complete;
}

result<resolved_commit> history::resolve(const oid& target, bool peel) {
  auto& index = s_.index;
  if (const std::uint32_t commit = index.find_commit(target); commit != none) {
    const text_id problem = index.commits[commit].problem;
    return problem == 0 ? resolved_commit{commit, {}} : resolved_commit{none, std::string{index.texts[problem]}};
  }
  if (const std::uint32_t known = index.find_target(target); known != none) {
    const target_record r = index.targets[known];
    if (r.status == target_status::bad)
      return resolved_commit{none, std::string{index.texts[r.problem]}};
    return peel ? resolve(r.commit, false) : resolved_commit{none, "points to a tag, not to a commit"};
  }
  auto object = s_.read(target);
  if (!object && !session::is_isolated(object.error()))
    return std::move(object).error();
  if (!object)
    return resolved_commit{none, s_.too_large()};
  if (object->type != git_object_type::commit)
    return resolve_other(target, std::move(*object), peel);
  if (auto learnt = learn(target, std::move(*object)); !learnt)
    return std::move(learnt).error();
  return resolve(target, false);
}

result<resolved_commit> history::resolve_other(const oid& target, git_object&& object, bool peel) {
  target_record r;
  r.id = target;
  std::string problem;
  const auto tag = object.type == git_object_type::tag ? parse_tag(object.data) : std::nullopt;
  if (object.type != git_object_type::tag)
    problem = "points to a " + std::string{to_string(object.type)}, problem += ", not to a commit";
  else if (!tag)
    problem = "points to a malformed tag object";
  else if (tag->type != "commit")
    problem = "is a tag of a " + printable(tag->type.substr(0, 16)) + ", not of a commit";
  else
    r.commit = tag->object;
  r.status = problem.empty() ? target_status::commit : target_status::bad;
  r.problem = s_.index.texts.intern(problem);
  if (r.problem == none)
    return texts_full();
  if (r.status == target_status::commit && peel) {
    auto commit = resolve(r.commit, false);
    if (commit) // remembered only now: a missing object must be looked for again
      s_.index.add(r);
    return commit;
  }
  s_.index.add(r);
  return resolved_commit{none, problem.empty() ? "points to a tag, not to a commit" : problem};
}

void history::begin_marks() {
  marks_.resize(s_.index.commits.size());
  if (++mark_ == 0) {
    std::fill(marks_.begin(), marks_.end(), 0);
    mark_ = 1;
  }
}

bool history::mark(std::uint32_t commit) {
  if (marks_[commit] == mark_)
    return false;
  marks_[commit] = mark_;
  return true;
}

/// The lowest commit of the run below `commit` whose generation is at least `generation`.
std::uint32_t history::climb(std::uint32_t commit, std::uint32_t generation) const {
  const auto& index = s_.index;
  while (index.commits[commit].depth > 0 && index.commits[commit].generation > generation) {
    const commit_record& r = index.commits[commit];
    commit = index.commits[r.jump].generation >= generation ? r.jump : index.parents[r.first_parent];
  }
  return commit;
}

bool history::is_ancestor(std::uint32_t ancestor, std::uint32_t commit) {
  const auto& index = s_.index;
  const std::uint32_t generation = index.commits[ancestor].generation;
  std::vector<std::uint32_t> todo{commit};
  begin_marks();
  while (!todo.empty() && !s_.stopped()) {
    const std::uint32_t low = climb(todo.back(), generation);
    todo.pop_back();
    if (low == ancestor)
      return true;
    const commit_record& r = index.commits[low];
    if (r.generation <= generation || !mark(low))
      continue;
    for (std::uint32_t p = 0; p < r.parent_count; ++p) {
      const std::uint32_t parent = index.parents[r.first_parent + p];
      if (parent >= ancestor && index.commits[parent].generation >= generation)
        todo.push_back(parent);
    }
  }
  return false;
}

std::uint32_t history::task_of(std::uint32_t commit, text_id package, text_id workspace) {
  auto& index = s_.index;
  std::vector<std::uint32_t> candidates;
  for (std::uint32_t a = index.newest_annotation_of(package); a != none && !s_.stopped(); a = index.annotations[a].previous) {
    const annotation_record& r = index.annotations[a];
    if (has_task(r) && (r.workspace == workspace || (r.workspace == 0 && r.revision == workspace)))
      candidates.push_back(a);
  }
  const auto time = [&](std::uint32_t a) { return index.commits[index.annotations[a].commit].committed; };
  std::sort(candidates.begin(), candidates.end(), [&](std::uint32_t a, std::uint32_t b) { return time(a) != time(b) ? time(a) > time(b) : a < b; });
  const bool monotone = index.commits[commit].monotone != 0;

  // Without clock skew history is walked by descending time, and only commits of one time are ambiguous.
  std::uint32_t chosen = none;
  bool ambiguous = false;
  std::vector<std::uint32_t> reached;
  for (std::size_t first = 0, last = 0; first < candidates.size() && !s_.stopped(); first = last) {
    reached.clear();
    std::size_t commits = 0;
    bool stops = false;
    for (; last < candidates.size() && !s_.stopped() && (!monotone || time(candidates[last]) == time(candidates[first])); ++last) {
      const annotation_record& r = index.annotations[candidates[last]];
      const bool same = !reached.empty() && index.annotations[reached.back()].commit == r.commit;
      if (!same && !is_ancestor(r.commit, commit))
        continue;
      commits += same ? 0 : 1;
      stops = stops || r.kind == task_kind::first;
      reached.push_back(candidates[last]);
    }
    if (commits > 1) {
      ambiguous = true;
      if (stops)
        break;
    } else if (commits == 1) {
      ambiguous = false;
      for (const std::uint32_t a : reached) {
        chosen = a;
        if (index.annotations[a].kind == task_kind::first)
          return chosen;
      }
    }
  }
  return ambiguous ? exact_task(commit, monotone ? candidates : reached) : chosen;
}

std::uint32_t history::exact_task(std::uint32_t commit, const std::vector<std::uint32_t>& candidates) {
  const auto& index = s_.index;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> by_commit;
  for (const std::uint32_t a : candidates)
    by_commit[index.annotations[a].commit].push_back(a);
  std::uint32_t chosen = none;
  std::size_t left = by_commit.size();
  walk(commit, [&](std::uint32_t visited) {
    const auto found = by_commit.find(visited);
    if (found == by_commit.end())
      return true;
    std::sort(found->second.begin(), found->second.end());
    for (const std::uint32_t a : found->second) {
      chosen = a;
      if (index.annotations[a].kind == task_kind::first)
        return false;
    }
    return --left > 0;
  });
  return chosen;
}

std::vector<std::uint32_t> history::unreadable(const std::vector<std::uint32_t>& heads) const {
  const auto& index = s_.index;
  std::vector<std::uint32_t> out;
  std::vector<std::uint32_t> todo;
  std::vector<bool> seen;
  const auto visit = [&](std::uint32_t commit) {
    if (index.commits[commit].problem_below == 0)
      return;
    seen.resize(index.commits.size());
    if (!seen[commit])
      todo.push_back(commit);
    seen[commit] = true;
  };
  for (const std::uint32_t head : heads)
    visit(head);
  while (!todo.empty()) {
    const std::uint32_t commit = todo.back();
    todo.pop_back();
    const commit_record& r = index.commits[commit];
    if (r.problem != 0)
      out.push_back(commit);
    for (std::uint32_t p = 0; p < r.parent_count; ++p)
      visit(index.parents[r.first_parent + p]);
  }
  return out;
}

branch_history::branch_history(session& s, history& h, std::uint32_t tip) : s_(s), history_(h), tip_(tip), reached_(tip + std::size_t{1}) {
  reached_[tip] = true;
  for (std::size_t n = reached_.size(); n-- > 0;)
    if (reached_[n])
      for (std::uint32_t p = 0; p < s.index.commits[n].parent_count; ++p)
        reached_[s.index.parents[s.index.commits[n].first_parent + p]] = true;
}

void branch_history::number_commits() {
  order_.assign(reached_.size(), none);
  std::uint32_t next = 0;
  history_.walk(tip_, [&](std::uint32_t commit) {
    order_[commit] = next++;
    return true;
  });
}

std::uint32_t branch_history::newest_of(text_id package) {
  const auto& index = s_.index;
  const bool monotone = index.commits[tip_].monotone != 0;
  std::uint32_t best = none;
  for (std::uint32_t a = index.newest_annotation_of(package); a != none && !s_.stopped(); a = index.annotations[a].previous) {
    const std::uint32_t commit = index.annotations[a].commit;
    if (commit >= reached_.size() || !reached_[commit] || commit == best)
      continue;
    if (best == none) {
      best = commit;
      continue;
    }
    const std::int64_t time = index.commits[commit].committed;
    const std::int64_t best_time = index.commits[best].committed;
    if (monotone && time != best_time) {
      best = time > best_time ? commit : best;
      continue;
    }
    if (order_.empty())
      number_commits();
    best = order_[commit] < order_[best] ? commit : best;
  }
  return best;
}

} // namespace veranda::logic
