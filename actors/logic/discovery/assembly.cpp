#include "actors/logic/discovery/assembly.hpp"

#include "actors/logic/discovery/facts.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

#include <tuple>
#include <unordered_map>

namespace veranda::logic {

namespace {

struct named {
  const candidate* from;
  package_revision_key key;
  std::string name;
  bool canonical;
};

std::string where(const candidate& c) {
  std::string out = printable(c.ref);
  if (c.from_branch)
    out.append(":").append(printable(c.full_path));
  return out;
}

bool is_published(veranda::lifecycle l) { return l == lifecycle::published || l == lifecycle::deletion_proposed; }

/// Which of two candidates for one place is kept: published before draft before proposed, a tag before the branch, the canonical spelling of
/// a revision before others, then the order of ref names and paths.
auto rank(const named& n) {
  const int stage = is_published(n.from->lifecycle) ? 0 : n.from->lifecycle == lifecycle::draft ? 1 : 2;
  return std::tuple{stage, n.from->from_branch, !n.canonical, n.from->ref, n.from->full_path};
}

/// Instants beyond what a `wall_time` holds are unknown.
std::optional<wall_time> instant(std::int64_t seconds) {
  constexpr std::int64_t first = -2'208'988'800; // 1900
  constexpr std::int64_t last = 7'258'118'400;   // 2200
  if (seconds < first || seconds >= last)
    return std::nullopt;
  return wall_time{std::chrono::seconds{seconds}};
}

class assembler {
public:
  assembler(const discovery_request& request, session& s, discovery_result& out) : request_(request), index_(s.index), out_(out) {}

  void run(const std::vector<candidate>& candidates) {
    names_.reserve(candidates.size());
    for (const candidate& c : candidates)
      add(c);
    std::sort(names_.begin(), names_.end(), [](const named& a, const named& b) {
      const int order = a.name.compare(b.name);
      return order != 0 ? order < 0 : rank(a) < rank(b);
    });
    drop_repeated_names();
    drop_repeated_revisions();
    report_names();
    out_.revisions.reserve(names_.size());
    for (named& n : names_)
      emit(n);
    mark_latest();
  }

private:
  void add(const candidate& c) {
    const std::string_view path = relative_path(c.full_path, request_.directory);
    const std::size_t slash = path.rfind('/');
    named n{&c, {}, {}, false};
    n.key.path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
    n.key.package = slash == std::string_view::npos ? path : path.substr(slash + 1);
    n.key.revision = c.revision;
    n.key.workspace = c.workspace;
    n.canonical = c.revision > 0 && is_canonical_revision(c.last, c.revision);
    if (n.key.package.empty())
      return exclude(c, "lies in the repository's directory itself, so its package would have no name");
    if (is_published(c.lifecycle) && c.revision != -1 && (c.revision < 1 || c.revision > max_revision))
      return exclude(c, "a published revision cannot have the number " + std::to_string(c.revision));
    if (const std::string problem = path_problem(n.key.workspace); !problem.empty())
      return exclude(c, "the workspace name " + problem);
    n.name = object_name(request_.repository.name, n.key.path, n.key.package, n.key.workspace);
    if (n.name.size() > max_name_bytes || n.name.empty())
      return exclude(c, "no object name can be made of its path and workspace");
    names_.push_back(std::move(n));
  }

  void exclude(const candidate& c, std::string reason) { out_.bad.push_back({where(c), std::move(reason), true}); }

  void drop_repeated_names() {
    std::vector<named> kept;
    kept.reserve(names_.size());
    for (named& n : names_) {
      if (!kept.empty() && kept.back().name == n.name)
        exclude(*n.from, "has the same object name " + n.name + " as " + where(*kept.back().from) + ", which is kept");
      else
        kept.push_back(std::move(n));
    }
    names_ = std::move(kept);
  }

  /// The cache holds one revision of each positive number (6.2).
  void drop_repeated_revisions() {
    std::unordered_map<std::string, std::size_t> best;
    std::vector<bool> dropped(names_.size());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i].key.revision < 1)
        continue;
      const auto [at, first] = best.emplace(names_[i].key.package_name() + ' ' + std::to_string(names_[i].key.revision), i);
      if (first)
        continue;
      const bool better = rank(names_[i]) < rank(names_[at->second]);
      dropped[better ? at->second : i] = true;
      at->second = better ? i : at->second;
    }
    std::vector<named> kept;
    kept.reserve(names_.size());
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const named& n = names_[i];
      if (!dropped[i])
        continue;
      const named& winner = names_[best.at(n.key.package_name() + ' ' + std::to_string(n.key.revision))];
      exclude(*n.from, "is revision " + std::to_string(n.key.revision) + " of its package as is " + where(*winner.from) + ", which is kept");
    }
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (!dropped[i])
        kept.push_back(std::move(names_[i]));
    names_ = std::move(kept);
  }

  /// Once for each package: its revisions share what is wrong with its path.
  void report_names() {
    std::unordered_map<std::string, const named*> reported;
    for (const named& n : names_) {
      const std::string problem = name_problem(n.key, n.name, n.from->from_branch);
      if (problem.empty())
        continue;
      const auto [at, first] = reported.emplace(n.key.package_name() + ' ' + problem, &n);
      if (!first && rank(n) < rank(*at->second))
        at->second = &n;
    }
    for (const auto& [key, n] : reported)
      out_.bad.push_back({where(*n->from), name_problem(n->key, n->name, n->from->from_branch) + "; other programs may refuse it", false});
  }

  void emit(named& n) {
    const candidate& c = *n.from;
    package_revision& r = out_.revisions.emplace_back();
    const commit_record& commit = index_.commits[c.commit];
    r.lifecycle = c.lifecycle;
    r.from_branch = c.from_branch;
    r.ref = c.ref;
    r.commit = commit.id;
    r.tree = c.tree;
    r.self_lock.repo = request_.url;
    r.self_lock.directory = relative_path(c.full_path, request_.directory);
    r.self_lock.ref = short_ref(c.ref);
    r.self_lock.commit = commit.id.hex();
    if (c.publication != none) {
      r.published_by = index_.texts[index_.commits[c.publication].author];
      r.published_at = instant(index_.commits[c.publication].authored);
    }
    if (c.task != none)
      r.task_json = index_.texts[index_.annotations[c.task].task];
    r.kptfile = decode_facts(index_.texts[index_.facts[c.facts].facts]);
    if (!r.kptfile.problem.empty())
      out_.bad.push_back({where(c) + (c.from_branch ? "/Kptfile" : ":Kptfile"), "the Kptfile cannot be used: " + r.kptfile.problem, false});
    r.uid = package_revision_uid(request_.repository.ns, n.name);
    r.name = std::move(n.name);
    r.key = std::move(n.key);
  }

  void mark_latest() {
    std::unordered_map<std::string, package_revision*> latest;
    for (package_revision& r : out_.revisions) {
      if (r.key.revision < 1 || !is_published(r.lifecycle))
        continue;
      package_revision*& best = latest[r.key.package_name()];
      if (best == nullptr || best->key.revision < r.key.revision)
        best = &r;
    }
    for (const auto& [package, r] : latest)
      r->latest = true;
  }

  const discovery_request& request_;
  const discovery_index::impl& index_;
  discovery_result& out_;
  std::vector<named> names_;
};

} // namespace

void assemble(const discovery_request& request, session& s, const std::vector<candidate>& candidates, discovery_result& out) {
  assembler{request, s, out}.run(candidates);
}

} // namespace veranda::logic
