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

std::string where(const candidate& c) {
  std::string out = printable(c.ref);
  if (c.from_branch)
    out.append(":").append(printable(c.full_path));
  return out;
}

bool is_published(veranda::lifecycle l) { return l == lifecycle::published || l == lifecycle::deletion_proposed; }

/// Which of two candidates for one place is kept: published before draft before proposed, a tag before the branch, the canonical spelling of
/// a revision before others, then the order of ref names and paths.
auto rank(const auto& n) {
  const int stage = is_published(n.from->lifecycle) ? 0 : n.from->lifecycle == lifecycle::draft ? 1 : 2;
  return std::tuple{stage, n.from->from_branch, !n.canonical, n.from->ref, n.from->full_path};
}

revision_key_view key_of(const auto& n) { return {n.path, n.package, n.from->revision, n.from->workspace}; }

/// Instants beyond what a `wall_time` holds are unknown.
std::optional<wall_time> instant(std::int64_t seconds) {
  constexpr std::int64_t first = -2'208'988'800; // 1900
  constexpr std::int64_t last = 7'258'118'400;   // 2200
  if (seconds < first || seconds >= last)
    return std::nullopt;
  return wall_time{std::chrono::seconds{seconds}};
}

/// What a revision takes, roughly: itself, its texts, and some bytes for each of them.
std::uint64_t memory_of(const package_revision& r) {
  constexpr std::uint64_t beside = 48;
  std::uint64_t out = sizeof r;
  const auto add = [&out](std::initializer_list<const std::string*> texts) {
    for (const std::string* text : texts)
      out += beside + text->size();
  };
  add({&r.key.path, &r.key.package, &r.key.workspace, &r.name, &r.uid, &r.ref, &r.published_by, &r.task_json});
  add({&r.self_lock.repo, &r.self_lock.directory, &r.self_lock.ref, &r.self_lock.commit});
  const kptfile_facts& k = r.kptfile;
  add({&k.problem});
  if (k.upstream_lock)
    add({&k.upstream_lock->repo, &k.upstream_lock->directory, &k.upstream_lock->ref, &k.upstream_lock->commit});
  for (const std::string& gate : k.readiness_gates)
    add({&gate});
  for (const package_condition& c : k.conditions)
    add({&c.type, &c.status, &c.reason, &c.message});
  for (const auto* map : {&k.labels, &k.annotations})
    for (const auto& [key, value] : *map)
      add({&key, &value});
  return out;
}

/// What the request says of a row. Repositories of different people share an index, so this is no hash that could be forged.
std::uint64_t context_of(const discovery_request& request) {
  sha256_hasher hasher;
  for (const std::string* field : {&request.repository.ns, &request.repository.name, &request.url, &request.branch, &request.directory})
    hasher.update_field(*field);
  const auto digest = hasher.finish();
  std::uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

} // namespace

assembly::assembly(const discovery_request& request, session& s, const std::vector<candidate>& candidates, bad_items& bad)
    : request_(request), index_(s.index), bad_(bad), context_(context_of(request)) {
  names_.reserve(candidates.size());
  std::size_t bytes = 0;
  for (const candidate& c : candidates)
    bytes += request.repository.name.size() + c.full_path.size() + c.workspace.size() + 3;
  texts_.reserve(bytes); // so that views into it stay
  for (const candidate& c : candidates)
    add(c);
  kept_ = drop_repeated_names();
  drop_repeated_revisions();
  mark_latest();
  report_problems();
}

void assembly::add(const candidate& c) {
  const std::string_view path = relative_path(c.full_path, request_.directory);
  const std::size_t slash = path.rfind('/');
  named n{&c, {}, path, {}, hash_bytes(c.full_path), c.revision > 0 && is_canonical_revision(c.last, c.revision), false};
  if (slash != std::string_view::npos) {
    n.path = path.substr(0, slash);
    n.package = path.substr(slash + 1);
  }
  if (n.package.empty())
    return exclude(c, "lies in the repository's directory itself, so its package would have no name");
  if (is_published(c.lifecycle) && c.revision != -1 && (c.revision < 1 || c.revision > max_revision))
    return exclude(c, "a published revision cannot have the number " + std::to_string(c.revision));
  if (const std::string problem = path_problem(c.workspace); !problem.empty())
    return exclude(c, "the workspace name " + problem);
  const std::size_t start = texts_.size();
  append_object_name(texts_, request_.repository.name, n.path, n.package, c.workspace);
  n.name = std::string_view{texts_}.substr(start);
  if (n.name.size() > max_name_bytes || n.name.empty())
    return exclude(c, "no object name can be made of its path and workspace");
  names_.push_back(n);
}

void assembly::exclude(const candidate& c, std::string reason) { bad_.add(where(c), std::move(reason), true); }

assembly::numbers assembly::drop_repeated_names() {
  std::vector<std::uint64_t> hashes(names_.size());
  for (std::size_t n = 0; n < names_.size(); ++n)
    hashes[n] = hash_bytes(names_[n].name);
  const auto hash = [&](std::uint32_t n) { return hashes[n]; };
  flat_index seen;
  seen.reserve(names_.size(), hash);
  bool repeated = false;
  numbers best(names_.size()); // of each name, by the number of the first one
  std::iota(best.begin(), best.end(), 0U);
  numbers first_of = best;
  for (std::uint32_t n = 0; n < names_.size(); ++n) {
    const std::uint32_t first = seen.find(hashes[n], [&](std::uint32_t k) { return names_[k].name == names_[n].name; });
    if (first == none) {
      seen.insert(n, hash);
      continue;
    }
    repeated = true;
    first_of[n] = first;
    if (rank(names_[n]) < rank(names_[best[first]]))
      best[first] = n;
  }
  if (!repeated)
    return best;
  numbers kept;
  for (std::uint32_t n = 0; n < names_.size(); ++n) {
    const std::uint32_t winner = best[first_of[n]];
    if (winner == n)
      kept.push_back(n);
    else
      bad_.add(where(*names_[n].from), "has the same object name " + std::string{names_[n].name} + " as " + where(*names_[winner].from) + ", which is kept", true);
  }
  return kept;
}

bool assembly::same_package(std::uint32_t a, std::uint32_t b) const {
  return names_[a].package_hash == names_[b].package_hash && names_[a].from->full_path == names_[b].from->full_path;
}

/// The cache holds one revision of each positive number (6.2).
void assembly::drop_repeated_revisions() {
  const auto revision = [&](std::uint32_t n) { return names_[n].from->revision; };
  const auto hash = [&](std::uint32_t n) { return names_[n].package_hash + static_cast<std::uint64_t>(revision(n)) * 0x9e3779b97f4a7c15U; };
  flat_index seen;
  seen.reserve(kept_.size(), hash);
  std::unordered_map<std::uint32_t, numbers> rivals; // by the first of them
  for (const std::uint32_t n : kept_) {
    if (revision(n) < 1)
      continue;
    const std::uint32_t first = seen.find(hash(n), [&](std::uint32_t k) { return same_package(k, n) && revision(k) == revision(n); });
    if (first == none) {
      seen.insert(n, hash);
      continue;
    }
    auto& all = rivals[first];
    if (all.empty())
      all.push_back(first);
    all.push_back(n);
  }
  std::vector<bool> dropped(rivals.empty() ? 0 : names_.size());
  for (const auto& [first, all] : rivals) {
    const std::uint32_t best = *std::min_element(all.begin(), all.end(), [&](std::uint32_t a, std::uint32_t b) { return rank(names_[a]) < rank(names_[b]); });
    for (const std::uint32_t n : all) {
      if (n == best)
        continue;
      dropped[n] = true;
      exclude(*names_[n].from, "is revision " + std::to_string(revision(n)) + " of its package as is " + where(*names_[best].from) + ", which is kept");
    }
  }
  if (!rivals.empty())
    std::erase_if(kept_, [&](std::uint32_t n) { return dropped[n]; });
}

void assembly::mark_latest() {
  const auto hash = [&](std::uint32_t n) { return names_[n].package_hash; };
  flat_index packages;
  packages.reserve(kept_.size(), hash);
  numbers best(names_.size(), none); // by the package's first number
  for (const std::uint32_t n : kept_) {
    std::uint32_t first = packages.find(hash(n), [&](std::uint32_t k) { return same_package(k, n); });
    if (first == none) {
      packages.insert(first = n, hash);
      ++packages_;
    }
    const candidate& c = *names_[n].from;
    if (c.revision < 1 || !is_published(c.lifecycle))
      continue;
    if (best[first] == none || names_[best[first]].from->revision < c.revision)
      best[first] = n;
  }
  for (const std::uint32_t n : best)
    if (n != none)
      names_[n].latest = true;
}

/// Of names once for each package, since its revisions share what is wrong with its path; of Kptfiles each.
void assembly::report_problems() {
  std::unordered_map<std::string, const named*> reported;
  for (const std::uint32_t number : kept_) {
    const named& n = names_[number];
    const candidate& c = *n.from;
    if (const auto problem = problem_of_facts(index_.texts[index_.facts[c.facts].facts]); !problem.empty())
      bad_.add(where(c) + (c.from_branch ? "/Kptfile" : ":Kptfile"), "the Kptfile cannot be used: " + std::string{problem}, false);
    const std::string problem = name_problem(key_of(n), n.name, c.from_branch);
    if (problem.empty())
      continue;
    const auto [at, first] = reported.emplace(std::string{relative_path(c.full_path, request_.directory)} + ' ' + problem, &n);
    if (!first && rank(n) < rank(*at->second))
      at->second = &n;
  }
  for (const auto& [key, n] : reported)
    bad_.add(where(*n->from), name_problem(key_of(*n), n->name, n->from->from_branch) + "; other programs may refuse it", false);
}

void assembly::sort_by_name(numbers& list) const {
  std::sort(list.begin(), list.end(), [&](std::uint32_t a, std::uint32_t b) { return names_[a].name < names_[b].name; });
}

package_revision assembly::build(const named& n) const {
  const candidate& c = *n.from;
  package_revision r;
  const commit_record& commit = index_.commits[c.commit];
  r.key = {std::string{n.path}, std::string{n.package}, c.revision, std::string{c.workspace}};
  r.name = n.name;
  r.uid = package_revision_uid(request_.repository.ns, n.name);
  r.lifecycle = c.lifecycle;
  r.latest = n.latest;
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
  return r;
}

/// A few bytes of a Kptfile are many in memory, and every revision has its own.
result<void> assembly::keep(const package_revision& r) {
  kept_bytes_ += memory_of(r);
  if (kept_bytes_ <= request_.limits.max_metadata_bytes)
    return {};
  return failure{ec::too_large,
                 "the " + std::to_string(kept_.size()) + " package revisions, with what their Kptfiles and annotations say, take more than " +
                   std::to_string(request_.limits.max_metadata_bytes) + " bytes of memory; remove tags or labels that are not needed, or raise --max-metadata-bytes",
                 {}, {}, {}};
}

result<std::vector<package_revision>> assembly::all() {
  sort_by_name(kept_);
  std::vector<package_revision> out;
  for (const std::uint32_t n : kept_) {
    out.push_back(build(names_[n]));
    if (auto kept = keep(out.back()); !kept)
      return std::move(kept).error();
  }
  return out;
}

row_record assembly::row_of(const named& n) const {
  const candidate& c = *n.from;
  row_record r;
  r.context = context_;
  r.subject = c.subject;
  r.state = static_cast<std::uint32_t>(c.lifecycle) | (n.latest ? row_record::latest_bit : 0U) | (c.from_branch ? row_record::from_branch_bit : 0U);
  r.used = index_.runs;
  if (c.from_branch) {
    r.tree = c.tree;
    r.publication = c.publication;
    r.task = c.task;
  }
  return r;
}

result<void> assembly::compare(std::vector<cached_entry>&& cached, package_delta& delta) {
  const auto hash = [&](std::uint32_t n) { return hash_bytes(cached[n].name); };
  flat_index by_name;
  by_name.rebuild(cached.size(), hash);
  std::vector<bool> still_there(cached.size());
  struct difference {
    bool added;
    package_revision revision;
  };
  std::vector<difference> differences;
  for (const std::uint32_t number : kept_) {
    const named& n = names_[number];
    const std::uint32_t at = by_name.find(hash_bytes(n.name), [&](std::uint32_t k) { return cached[k].name == n.name; });
    if (at != none) {
      still_there[at] = true;
      ++delta.stats.both;
    }
    row_record row = row_of(n);
    row_record* const known = index_.find_row(row);
    const bool fresh = known != nullptr && known->same_input(row);
    if (fresh) {
      known->used = index_.runs;
      if (at != none && cached[at].digest == known->digest)
        continue;
    }
    package_revision revision = build(n);
    if (!fresh) {
      row.digest = revision.digest();
      index_.put(row);
      if (at != none && cached[at].digest == row.digest)
        continue;
    }
    differences.push_back({at == none, std::move(revision)});
    if (auto kept = keep(differences.back().revision); !kept)
      return kept;
  }
  std::sort(differences.begin(), differences.end(), [](const difference& a, const difference& b) { return a.revision.name < b.revision.name; });
  for (difference& d : differences)
    (d.added ? delta.added : delta.changed).push_back(std::move(d.revision));
  for (std::size_t n = 0; n < cached.size(); ++n)
    if (!still_there[n])
      delta.removed.push_back(std::move(cached[n].name));
  std::sort(delta.removed.begin(), delta.removed.end());
  delta.stats.packages = packages_;
  delta.stats.revisions = kept_.size();
  delta.stats.external_only = delta.added.size();
  delta.stats.changed = delta.changed.size();
  delta.stats.cached_only = delta.removed.size();
  return {};
}

} // namespace veranda::logic
