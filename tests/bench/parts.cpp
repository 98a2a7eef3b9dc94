// Stages of a sync one by one, without the daemon: `bench_parts URL SCRATCH [store]`. Every stage is a line `name seconds count`. A second call with the same
// SCRATCH goes on where the first one ended: it fetches and discovers only what is new.
#include "actors/logic/discovery/discovery.hpp"
#include "adapters/git/git_remote.hpp"
#include "adapters/kpt/decoder.hpp"
#include "adapters/store/sqlite_package_cache.hpp"

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <unordered_set>

using namespace veranda;
namespace fs = std::filesystem;

namespace {

[[noreturn]] void stop(const failure& f) {
  std::fprintf(stderr, "bench_parts: %s\n", describe(f).c_str());
  std::exit(1);
}

template <class T>
T must(result<T> r) {
  if (!r) stop(r.error());
  return *std::move(r);
}

void must(const result<void>& r) {
  if (!r) stop(r.error());
}

class stopwatch {
public:
  void line(const char* name, std::size_t count) {
    const auto now = std::chrono::steady_clock::now();
    std::printf("%s %.6f %zu\n", name, std::chrono::duration<double>(now - begin_).count(), count);
    begin_ = std::chrono::steady_clock::now();
  }

private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// Annotations as ever, Kptfiles unread: what decoding them costs is the difference.
class without_kptfiles final : public logic::package_decoder {
public:
  explicit without_kptfiles(logic::package_decoder& real) : real_(real) {}
  kptfile_facts decode_kptfile(std::string_view) override { return {}; }
  std::vector<logic::commit_annotation> decode_annotations(std::string_view message, std::size_t& dropped) override { return real_.decode_annotations(message, dropped); }

private:
  logic::package_decoder& real_;
};

constexpr std::size_t batch_bytes = 1U << 20U;

struct stored {
  std::size_t files = 0; ///< of all revisions, as Porch would have a row for each
};

/// Everything of `found` into the embedded cache, as a first sync stores it.
stored store_all(const fs::path& scratch, const std::string& url, const logic::discovery_result& found, git::mirror& mirror, const logic::discovery_limits& limits) {
  auto cache = must(store::open_package_cache(scratch / "packages.db", [] { return std::chrono::system_clock::now(); }));
  const auto claim = must(cache->claim({"default", "r"}, "bench-uid", 1));
  repository_spec spec;
  spec.type = repository_type::git;
  spec.git = git_spec{};
  spec.git->repo = url;
  must(cache->open(claim, spec));
  std::unordered_set<oid> trees, blobs;
  std::map<oid, std::size_t> files_of;
  store::content_batch batch;
  std::size_t bytes = 0;
  logic::bad_items bad;
  stored all;
  const auto flush = [&] {
    must(cache->put_contents(batch));
    batch = {};
    bytes = 0;
  };
  for (const auto& revision : found.revisions) {
    if (!trees.insert(revision.tree).second) {
      all.files += files_of[revision.tree];
      continue;
    }
    auto tree = must(logic::list_package(revision.tree, mirror.objects(), limits, bad));
    for (const auto& file : tree.files) {
      if (!blobs.insert(file.blob).second) continue;
      auto object = must(mirror.objects().read(file.blob));
      bytes += object.data.size();
      batch.contents.push_back({file.blob, std::move(object.data)});
    }
    all.files += files_of[revision.tree] = tree.files.size();
    batch.trees.push_back(std::move(tree));
    if (bytes >= batch_bytes) flush();
  }
  flush();
  package_delta delta;
  delta.added = found.revisions;
  delta.basis.commit = found.branch_commit.hex();
  durable_state state;
  state.basis = delta.basis;
  if (const auto applied = must(cache->apply_delta(claim, delta, state)); applied.revisions != found.revisions.size()) {
    stop({ec::internal, "the cache counts " + std::to_string(applied.revisions) + " revisions", {}, {}, {}});
  }
  return all;
}

/// The rival: the same database, one autocommitted INSERT per file, contents with every row.
std::size_t store_row_by_row(const fs::path& scratch, const logic::discovery_result& found, git::mirror& mirror, const logic::discovery_limits& limits) {
  sqlite3* db = nullptr;
  const auto run = [&](const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) stop({ec::internal, sqlite3_errmsg(db), {}, {}, {}});
  };
  sqlite3_open((scratch / "rows.db").c_str(), &db);
  run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE resources (revision TEXT, path TEXT, content BLOB, PRIMARY KEY (revision, path))");
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO resources VALUES (?, ?, ?)", -1, &insert, nullptr);
  logic::bad_items bad;
  std::size_t rows = 0;
  for (const auto& revision : found.revisions) {
    const auto tree = must(logic::list_package(revision.tree, mirror.objects(), limits, bad));
    for (const auto& file : tree.files) {
      const auto object = must(mirror.objects().read(file.blob));
      sqlite3_bind_text(insert, 1, revision.name.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_text(insert, 2, file.path.c_str(), -1, SQLITE_STATIC);
      sqlite3_bind_blob(insert, 3, object.data.data(), static_cast<int>(object.data.size()), SQLITE_STATIC);
      if (sqlite3_step(insert) != SQLITE_DONE) stop({ec::internal, sqlite3_errmsg(db), {}, {}, {}});
      sqlite3_reset(insert);
      ++rows;
    }
  }
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return rows;
}

/// Names and digests of what was found last, as a snapshot of the cache gives them.
std::vector<logic::cached_entry> load_known(const fs::path& file) {
  std::vector<logic::cached_entry> entries;
  std::ifstream in{file, std::ios::binary};
  for (std::string name; std::getline(in, name);) {
    auto& entry = entries.emplace_back();
    entry.name = name;
    in.read(reinterpret_cast<char*>(entry.digest.data()), static_cast<std::streamsize>(entry.digest.size()));
  }
  return entries;
}

void save_known(const fs::path& file, const logic::discovery_result& found) {
  std::ofstream out{file, std::ios::binary};
  for (const auto& revision : found.revisions) {
    const auto digest = revision.digest();
    out << revision.name << '\n';
    out.write(reinterpret_cast<const char*>(digest.data()), static_cast<std::streamsize>(digest.size()));
  }
}

logic::discovery_result discover(const logic::discovery_request& request, git::mirror& mirror, logic::package_decoder& decoder, logic::discovery_index& index) {
  return must(logic::discover(request, mirror.objects(), decoder, index, cancel_token{}));
}

void run(const std::string& url, const fs::path& scratch, bool with_store) {
  fs::create_directories(scratch);
  const bool first = !fs::exists(scratch / "mirror");
  const cancel_token token;
  const git::transport_limits limits;
  const remote_endpoint remote{url, {}};
  auto mirror = must(git::open_mirror(scratch / "mirror", url));
  auto index = first ? logic::discovery_index{} : must(logic::discovery_index::load(mirror->load_index()));

  stopwatch watch;
  const auto listed = must(git::list_refs(remote, {"refs/heads/", "refs/tags/"}, {}, limits, token));
  watch.line("listing", listed.refs->refs.size());
  const auto report = must(git::fetch(*mirror, remote, *listed.refs, limits, token, false, [](std::uint64_t, std::uint64_t) {}));
  must(mirror->settle()); // on the disk, as git leaves it
  watch.line("fetch", report.objects);

  const logic::discovery_request request{{"default", "r"}, url, "main", {}, mirror->refs(), {}};
  const auto decoder = kpt::make_decoder();
  if (first) {
    without_kptfiles blind{*decoder};
    logic::discovery_index scratch_index;
    watch = {};
    const auto found = discover(request, *mirror, blind, scratch_index);
    watch.line("discovery-without-kptfiles", found.revisions.size());
  }
  // As the daemon does it: against what the cache holds, which is what was found last.
  const fs::path known = scratch / "known";
  auto cached = load_known(known);
  watch = {};
  const auto changes = must(logic::discover_changes(request, std::move(cached), {}, mirror->objects(), *decoder, index, token));
  watch.line(first ? "discovery" : "discovery-after-commit", changes.delta.stats.revisions);
  must(mirror->save_index(index.save()));
  watch.line("save-index", index.objects_read());
  const auto found = discover(request, *mirror, *decoder, index);
  save_known(known, found);
  {
    watch = {};
    auto again = must(logic::discovery_index::load(mirror->load_index()));
    watch.line("load-index", 0);
    auto held = load_known(known);
    watch = {};
    const auto same = must(logic::discover_changes(request, std::move(held), {}, mirror->objects(), *decoder, again, token));
    watch.line("discovery-nothing-new", again.objects_read());
    if (!same.delta.empty() || same.delta.stats.revisions != found.revisions.size() || changes.delta.stats.revisions != found.revisions.size())
      stop({ec::internal, "discovery with a filled index found something else", {}, {}, {}});
  }
  if (with_store) {
    watch = {};
    const auto all = store_all(scratch, url, found, *mirror, request.limits);
    watch.line("store", all.files);
    const auto rows = store_row_by_row(scratch, found, *mirror, request.limits);
    watch.line("store-row-by-row", rows);
    if (rows != all.files) stop({ec::internal, "the two ways of storing disagree", {}, {}, {}});
  }
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: bench_parts URL SCRATCH [store]\n", stderr);
    return 2;
  }
  run(argv[1], argv[2], argc > 3);
  return 0;
}
