#pragma once

#include "actors/logic/discovery/session.hpp"

namespace veranda::logic {

/// The commit that a ref's target leads to, or why it leads to none.
struct resolved_commit {
  std::uint32_t commit = none;
  std::string problem;
};

/// The commit graph of an index: fills it, and answers what depends on the order of history (4.7).
class history {
public:
  explicit history(session& s) : s_(s) {}

  /// Reads the target and all of its history that is not known yet, each commit once. `peel`: an annotated tag leads to its commit (4.4).
  [[nodiscard]] result<resolved_commit> resolve(const oid& target, bool peel);

  /// True when `ancestor` is `commit` or in its history.
  [[nodiscard]] bool is_ancestor(std::uint32_t ancestor, std::uint32_t commit);

  /// The annotation whose task is the task of a package revision (4.7), or `none`.
  [[nodiscard]] std::uint32_t task_of(std::uint32_t commit, text_id package, text_id workspace);

  /// All unreadable commits in the history of these commits.
  [[nodiscard]] std::vector<std::uint32_t> unreadable(const std::vector<std::uint32_t>& heads) const;

  /// Calls `visit(commit)` for the history of `start`, newest committer time first, equal times in the order in which they are found,
  /// until it answers false.
  template <class Visit>
  void walk(std::uint32_t start, Visit visit);

private:
  struct staged;
  [[nodiscard]] result<void> learn(const oid& start, git_object&& object);
  [[nodiscard]] staged stage(const oid& id, std::string_view text);
  [[nodiscard]] bool append(const staged& commit);
  [[nodiscard]] std::uint32_t climb(std::uint32_t commit, std::uint32_t generation) const;
  [[nodiscard]] std::uint32_t exact_task(std::uint32_t commit, const std::vector<std::uint32_t>& candidates);
  [[nodiscard]] result<resolved_commit> resolve_other(const oid& target, git_object&& object, bool peel);
  [[nodiscard]] bool mark(std::uint32_t commit);
  void begin_marks();

  session& s_;
  std::vector<std::uint32_t> marks_;
  std::uint32_t mark_ = 0;
};

/// Who last touched each package of a branch and when (4.7).
class branch_history {
public:
  branch_history(session& s, history& h, std::uint32_t tip);
  /// The newest commit in the branch's history with an annotation of this package, or `none`.
  [[nodiscard]] std::uint32_t newest_of(text_id package);

private:
  void number_commits();
  session& s_;
  history& history_;
  std::uint32_t tip_;
  std::vector<bool> reached_;
  std::vector<std::uint32_t> order_; ///< position in the walk; empty until it matters
};

} // namespace veranda::logic

#include "actors/logic/discovery/history_walk.hpp"
