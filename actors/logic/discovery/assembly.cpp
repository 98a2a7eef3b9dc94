#include "actors/logic/discovery/assembly.hpp"

#include "actors/logic/discovery/facts.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

#include <numeric>
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
    std::vector<std::uint32_t> order(names_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      const int difference = names_[a].name.compare(names_[b].name);
      return difference != 0 ? difference < 0 : rank(names_[a]) < rank(names_[b]);
    });
    drop_repeated_names(order);
    drop_repeated_revisions(order);
    report_names(order);
    out_.revisions.reserve(order.size());
    for (const std::uint32_t n : order)
      emit(names_[n]);
    mark_latest(order);
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

  using numbers = std::vector<std::uint32_t>;

  void drop_repeated_names(numbers& order) {
    numbers kept;
    kept.reserve(order.size());
    for (const std::uint32_t n : order) {
      if (!kept.empty() && names_[kept.back()].name == names_[n].name)
        exclude(*names_[n].from, "has the same object name " + names_[n].name + " as " + where(*names_[kept.back()].from) + ", which is kept");
      else
        kept.push_back(n);
    }
    order = std::move(kept);
  }

  [[nodiscard]] bool same_package(std::uint32_t a, std::uint32_t b) const { return names_[a].from->full_path == names_[b].from->full_path; }
  [[nodiscard]] std::uint64_t package_hash(std::uint32_t n) const { return hash_bytes(names_[n].from->full_path); }

  /// The cache holds one revision of each positive number (6.2).
  void drop_repeated_revisions(numbers& order) {
    const auto hash = [&](std::uint32_t n) { return package_hash(n) + static_cast<std::uint64_t>(names_[n].key.revision); };
    flat_index kept;
    numbers winner(names_.size(), none); // of those that lose
    numbers replaced(names_.size(), none); // the winner in place of the number that the index holds
    for (const std::uint32_t n : order) {
      if (names_[n].key.revision < 1)
        continue;
      const std::uint32_t first = kept.find(hash(n), [&](std::uint32_t k) { return same_package(k, n) && names_[k].key.revision == names_[n].key.revision; });
      if (first == none) {
        kept.insert(n, hash);
        continue;
      }
      const std::uint32_t best = replaced[first] == none ? first : replaced[first];
      const bool better = rank(names_[n]) < rank(names_[best]);
      winner[better ? best : n] = first;
      replaced[first] = better ? n : best;
    }
    std::erase_if(order, [&](std::uint32_t n) {
      if (winner[n] == none)
        return false;
      exclude(*names_[n].from, "is revision " + std::to_string(names_[n].key.revision) + " of its package as is " +
                                   where(*names_[replaced[winner[n]]].from) + ", which is kept");
      return true;
    });
  }

  /// Once for each package: its revisions share what is wrong with its path.
  void report_names(const numbers& order) {
    std::unordered_map<std::string, const named*> reported;
    for (const std::uint32_t number : order) {
      const named& n = names_[number];
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

  void mark_latest(const numbers& order) {
    const auto hash = [&](std::uint32_t n) { return package_hash(n); };
    flat_index packages;
    numbers best(names_.size(), none); // position in the result, by the package's first number
    for (std::uint32_t at = 0; at < order.size(); ++at) {
      const package_revision& r = out_.revisions[at];
      if (r.key.revision < 1 || !is_published(r.lifecycle))
        continue;
      std::uint32_t first = packages.find(hash(order[at]), [&](std::uint32_t k) { return same_package(k, order[at]); });
      if (first == none)
        packages.insert(first = order[at], hash);
      if (best[first] == none || out_.revisions[best[first]].key.revision < r.key.revision)
        best[first] = at;
    }
    for (const std::uint32_t at : best)
      if (at != none)
        out_.revisions[at].latest = true;
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
