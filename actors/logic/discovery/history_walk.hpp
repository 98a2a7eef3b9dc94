#pragma once

#include <queue>

namespace veranda::logic {

template <class Visit>
void history::walk(std::uint32_t start, Visit visit) {
  struct waiting {
    std::int64_t committed;
    std::uint64_t found;
    std::uint32_t commit;
    bool operator<(const waiting& other) const { // the greatest is next
      return committed != other.committed ? committed < other.committed : found > other.found;
    }
  };
  std::priority_queue<waiting> queue;
  std::uint64_t found = 0;
  const auto& index = s_.index;
  begin_marks();
  const auto push = [&](std::uint32_t commit) {
    if (mark(commit))
      queue.push({index.commits[commit].committed, found++, commit});
  };
  push(start);
  while (!queue.empty() && !s_.stopped()) {
    const std::uint32_t commit = queue.top().commit;
    queue.pop();
    if (!visit(commit))
      return;
    const commit_record& r = index.commits[commit];
    for (std::uint32_t p = 0; p < r.parent_count; ++p)
      push(index.parents[r.first_parent + p]);
  }
}

} // namespace veranda::logic
