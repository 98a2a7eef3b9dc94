// links: veranda_logic veranda_adapter_kpt
#define BOOST_TEST_MODULE discovery_generated
#include "actors/logic/discovery/index.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/support/naive_discovery.hpp"

#include <boost/test/unit_test.hpp>

#include <random>

using namespace veranda;
using namespace veranda::test;

namespace {

/// A repository that changes at random, with everything that makes history hard: merges, clock skew, ties, rewritten tags, force-pushed and re-created
/// branches, packages inside packages, and names that collide.
class random_repository {
public:
  explicit random_repository(std::uint32_t seed) : random_(seed) {
    skewed_ = chance(3);
    commit_to("refs/heads/main", {});
  }

  memory_objects objects;

  void evolve() {
    switch (pick(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return commit_to("refs/heads/main", parents_of("refs/heads/main"));
    case 4:
      return start_branch(chance(3) ? "proposed/" : "drafts/");
    case 5:
    case 6:
      return advance_branch();
    case 7:
    case 8:
      return publish();
    case 9:
      return move_something();
    case 10:
      return remove_something();
    case 11:
      return merge();
    case 12:
      return mark_deletion();
    default:
      return add_oddity();
    }
  }

private:
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); }
  bool chance(std::size_t n) { return pick(n) == 0; }

  std::string package() {
    static const std::vector<std::string> names{"alpha", "beta", "dir/alpha", "dir/sub/gamma", "dir/sub/gamma/inner", "dir2/delta", "dir"};
    return names[pick(names.size() - (chance(8) ? 0 : 1))];
  }
  std::string workspace() { return "w" + std::to_string(pick(2)); }
  std::string revision() {
    static const std::vector<std::string> names{"v1", "v2", "v3", "v4", "2", "v03", "v0", "v-4", "release-a", "w1"};
    return names[pick(names.size() - (chance(3) ? 0 : 6))];
  }

  std::vector<oid> parents_of(const std::string& ref) const {
    const auto at = objects.refs().find(ref);
    return at == objects.refs().end() ? std::vector<oid>{} : std::vector<oid>{at->second};
  }

  std::string random_ref(std::string_view prefix) {
    std::vector<std::string> names;
    for (const auto& [name, target] : objects.refs())
      if (name.starts_with(prefix))
        names.push_back(name);
    return names.empty() ? "" : names[pick(names.size())];
  }

  /// A commit that changes some package and says so, or says something else, or nothing.
  void commit_to(const std::string& ref, const std::vector<oid>& parents, const std::string& mostly = {}) {
    const std::string changed = mostly.empty() || chance(5) ? package() : mostly;
    file_map files = parents.empty() ? file_map{} : files_[parents[pick(parents.size())]];
    if (chance(10)) {
      std::erase_if(files, [&](const auto& f) { return f.first.starts_with(changed + "/"); });
    } else {
      files[changed + "/Kptfile"] = chance(12) ? "kind: [" : kptfile("p", "  labels:\n    n: \"" + std::to_string(pick(5)) + "\"\n");
      files[changed + "/data.yaml"] = std::to_string(pick(1000));
    }
    std::string message = "Change " + changed + "\n\n";
    for (std::size_t n = pick(3); n > 0; --n)
      message += line(chance(4) ? package() : changed);
    clock_ += static_cast<std::int64_t>(pick(3));
    const std::int64_t skew = skewed_ && chance(4) ? -static_cast<std::int64_t>(pick(12)) : 0;
    const oid id = objects.commit(objects.tree(files), parents, {"u" + std::to_string(pick(9)) + "@example.com", clock_ - 5000 + static_cast<std::int64_t>(pick(100)), clock_ + skew}, message);
    files_[id] = files;
    objects.set_ref(ref, id);
    commits_.push_back(id);
  }

  std::string line(const std::string& of) {
    static const std::vector<std::string> tasks{"init", "clone", "edit", "upgrade", "eval", ""};
    if (chance(12))
      return "kpt:{invalid:annotation}\n";
    if (chance(4))
      return annotation(of, "", chance(2) ? "v" + std::to_string(1 + pick(3)) : workspace(), tasks[pick(tasks.size())]);
    return annotation(of, chance(12) ? "main" : workspace(), "1", tasks[pick(tasks.size())]);
  }

  void start_branch(const std::string& kind) {
    const auto from = commits_[pick(commits_.size())];
    const std::string path = package();
    commit_to("refs/heads/" + kind + path + '/' + workspace(), {from}, path);
  }

  void advance_branch() {
    const std::string ref = random_ref(chance(2) ? "refs/heads/drafts/" : "refs/heads/proposed/");
    if (!ref.empty())
      commit_to(ref, parents_of(ref), std::string{logic::parse_ref(ref).path});
  }

  void publish() {
    oid target = commits_[commits_.size() - 1 - pick(std::min<std::size_t>(commits_.size(), 6))];
    std::string path = package();
    if (const auto& files = files_[target]; !files.empty() && !chance(8)) { // mostly of a package that is there
      path = std::next(files.begin(), static_cast<std::ptrdiff_t>(pick(files.size())))->first;
      path.resize(path.rfind('/'));
    }
    if (chance(6))
      target = objects.tag(target, "commit", "annotated");
    objects.set_ref("refs/tags/" + path + '/' + revision(), target);
  }

  void move_something() {
    const std::string ref = random_ref(chance(2) ? "refs/tags/" : "refs/heads/");
    if (!ref.empty())
      objects.set_ref(ref, commits_[pick(commits_.size())]);
  }

  void remove_something() {
    const std::string ref = random_ref(chance(2) ? "refs/tags/" : chance(4) ? "refs/heads/" : "refs/heads/drafts/");
    if (!ref.empty())
      objects.remove_ref(ref);
  }

  void merge() {
    std::vector<oid> parents;
    for (std::size_t n = 2 + pick(2); n > 0; --n)
      parents.push_back(commits_[pick(commits_.size())]);
    std::sort(parents.begin(), parents.end());
    parents.erase(std::unique(parents.begin(), parents.end()), parents.end());
    std::shuffle(parents.begin(), parents.end(), random_);
    commit_to("refs/heads/main", parents);
  }

  void mark_deletion() {
    const std::string last = chance(3) ? "main" : chance(2) ? "release-a" : "v" + std::to_string(1 + pick(4));
    objects.set_ref("refs/heads/deletionProposed/" + package() + '/' + last, commits_.back());
  }

  /// Things that are no package revision and must not matter.
  void add_oddity() {
    const oid any = commits_[pick(commits_.size())];
    switch (pick(6)) {
    case 0:
      return objects.set_ref("refs/heads/drafts/stray", any);
    case 1:
      return objects.set_ref("refs/tags/v1.0.0", any);
    case 2:
      return objects.set_ref("refs/tags/alpha/v9", objects.tag(objects.tag(any, "commit", "inner"), "tag", "outer"));
    case 3:
      return objects.set_ref("refs/tags/beta/v9", objects.blob("not a commit"));
    case 4:
      return objects.set_ref("refs/tags/tools/cmd/v1.2.3", any);
    default:
      return objects.set_ref("refs/heads/feature", any);
    }
  }

  std::mt19937 random_;
  bool skewed_ = false;
  std::int64_t clock_ = 1'600'000'000;
  std::vector<oid> commits_;
  std::map<oid, file_map> files_;
};

logic::discovery_request request(const memory_objects& objects, std::string directory, std::string branch = "main") {
  return {{"ns", "repo"}, "https://example.com/r.git", std::move(branch), std::move(directory), objects.table(), {}};
}

/// What a cache holds of one Repository.
struct cached_by_request {
  std::vector<logic::cached_entry> entries;
  void take(const std::vector<package_revision>& revisions) {
    entries.clear();
    for (const auto& r : revisions)
      entries.push_back({r.name, r.digest()});
  }
};

/// What differs between two lists, as text.
std::string difference(const std::vector<package_revision>& got, const std::vector<package_revision>& wanted) {
  const auto line = [](const package_revision& r) {
    return r.name + " rev " + std::to_string(r.key.revision) + ' ' + std::string{to_string(r.lifecycle)} + (r.latest ? " latest " : " ") + r.ref + " task " + r.task_json +
           " by " + r.published_by + " uid " + r.uid + " dir " + r.self_lock.directory + " problem " + r.kptfile.problem + '\n';
  };
  std::string out;
  for (const auto& r : got)
    if (std::find(wanted.begin(), wanted.end(), r) == wanted.end())
      out += "got    " + line(r);
  for (const auto& r : wanted)
    if (std::find(got.begin(), got.end(), r) == got.end())
      out += "wanted " + line(r);
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(equals_the_slow_implementation_at_every_step_whatever_the_index_knows) {
  const auto decoder = kpt::make_decoder();
  const std::vector<std::string> directories{"", "dir", "dir/sub", "nowhere"};
  std::size_t revisions = 0;
  std::size_t tasks = 0;
  std::size_t added = 0;
  std::size_t changed = 0;
  std::size_t removed = 0;
  for (std::uint32_t seed = 1; seed <= 50; ++seed) {
    random_repository repository{seed};
    logic::discovery_index kept;
    std::map<std::string, cached_by_request> cached;
    for (int step = 0; step < 80; ++step) {
      repository.evolve();
      if (step % 5 != 0)
        continue;
      const auto ask = request(repository.objects, directories[static_cast<std::size_t>(step / 5) % directories.size()]);
      logic::discovery_index fresh;
      repository.objects.clear_reads();
      const auto scratch = logic::discover(ask, repository.objects, *decoder, fresh, {});
      BOOST_REQUIRE(scratch.ok());
      for (const auto& [id, times] : repository.objects.reads())
        BOOST_REQUIRE_EQUAL(times, 1U);
      const auto incremental = logic::discover(ask, repository.objects, *decoder, kept, {});
      BOOST_REQUIRE(incremental.ok());
      const auto wanted = naive_discovery{repository.objects, *decoder, ask}.run();
      BOOST_REQUIRE_MESSAGE(scratch->revisions == wanted, "seed " << seed << " step " << step << '\n' << difference(scratch->revisions, wanted));
      BOOST_REQUIRE_MESSAGE(incremental->revisions == wanted, "incremental, seed " << seed << " step " << step << '\n' << difference(incremental->revisions, wanted));
      BOOST_REQUIRE(incremental->bad == scratch->bad);
      BOOST_REQUIRE(incremental->branch_commit == scratch->branch_commit);
      BOOST_REQUIRE_EQUAL(incremental->directory_missing, scratch->directory_missing);
      cached_by_request& mine = cached[ask.directory];
      const sync_basis basis{"digest of " + std::to_string(step), {}};
      const auto changes = logic::discover_changes(ask, mine.entries, basis, repository.objects, *decoder, kept, {});
      BOOST_REQUIRE(changes.ok());
      auto expected = logic::make_delta(mine.entries, wanted, scratch->bad, {basis.digest, scratch->branch_commit.is_zero() ? "" : scratch->branch_commit.hex()});
      BOOST_REQUIRE_MESSAGE(changes->delta == expected, "changes, seed " << seed << " step " << step << '\n'
                                                          << difference(changes->delta.added, expected.added) << difference(changes->delta.changed, expected.changed));
      BOOST_REQUIRE(changes->branch_commit == scratch->branch_commit);
      BOOST_REQUIRE_EQUAL(changes->directory_missing, scratch->directory_missing);
      added += expected.added.size();
      changed += expected.changed.size();
      removed += expected.removed.size();
      if (step % 20 != 15) // now and then the cache lags behind
        mine.take(wanted);
      revisions += wanted.size();
      for (const auto& r : wanted)
        tasks += r.task_json.empty() ? 0 : 1;
      repository.objects.clear_reads();
      BOOST_REQUIRE(logic::discover(ask, repository.objects, *decoder, kept, {}).ok());
      BOOST_REQUIRE(repository.objects.reads().empty());
      if (step % 10 == 0) {
        auto loaded = logic::discovery_index::load(kept.save());
        BOOST_REQUIRE(loaded.ok());
        BOOST_REQUIRE(!loaded->changed());
        kept = std::move(*loaded);
      }
      if (step % 15 == 0) { // what a compaction keeps is all that is needed
        const std::uint64_t before = kept.access().records();
        kept.access().adopt(logic::compacted(kept.access()));
        BOOST_REQUIRE_LE(kept.access().records(), before);
        BOOST_REQUIRE(logic::discover(ask, repository.objects, *decoder, kept, {}).ok());
        BOOST_REQUIRE(repository.objects.reads().empty());
      }
    }
  }
  BOOST_TEST(revisions > 2000U); // the repositories are worth the trouble
  BOOST_TEST(tasks > 300U);
  BOOST_TEST(added > 500U);
  BOOST_TEST(changed > 100U);
  BOOST_TEST(removed > 10U);
}

BOOST_AUTO_TEST_CASE(commits_and_kptfiles_are_never_read_twice_while_a_repository_grows) {
  const auto decoder = kpt::make_decoder();
  for (std::uint32_t seed = 100; seed < 120; ++seed) {
    random_repository repository{seed};
    logic::discovery_index index;
    for (int step = 0; step < 60; ++step) {
      repository.evolve();
      BOOST_REQUIRE(logic::discover(request(repository.objects, ""), repository.objects, *decoder, index, {}).ok());
    }
    for (const auto& [id, times] : repository.objects.reads())
      if (repository.objects.peek(id)->type != logic::git_object_type::tree)
        BOOST_REQUIRE_MESSAGE(times == 1, "seed " << seed << ": " << id.hex() << " was read " << times << " times");
  }
}
