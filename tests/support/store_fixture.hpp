#pragma once

#include "adapters/store/sqlite_package_cache.hpp"

#include <boost/test/unit_test.hpp>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace veranda::test {

/// A directory of its own, removed at the end.
class scratch_directory {
public:
  scratch_directory() {
    auto name = (std::filesystem::temp_directory_path() / "veranda-test-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw std::runtime_error("no temporary directory");
    path_ = name;
  }
  ~scratch_directory() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
  }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  std::filesystem::path path_;
};

inline std::string bytes_in(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// The value, or a failed test that says why there is none.
template <class T>
T value(result<T> r) {
  if (!r)
    BOOST_FAIL(describe(r.error()));
  return *std::move(r);
}
inline void value(const result<void>& r) {
  if (!r)
    BOOST_FAIL(describe(r.error()));
}
/// The code of a failure that was expected.
template <class T>
std::string_view code(const result<T>& r) {
  return r ? "ok" : to_string(r.error().code);
}

/// An object id made from a number.
inline oid id_of(std::uint64_t n) {
  oid id;
  const auto digest = sha1(std::to_string(n));
  id.bytes = digest;
  return id;
}

/// A package with one revision `v<n>`, in the repository `repo`; its tree and its only blob follow from `content`.
inline package_revision revision_of(const std::string& repo, const std::string& package, int n, std::uint64_t content = 1) {
  package_revision r;
  r.key = {"apps", package, n, "v" + std::to_string(n)};
  r.name = repo + ".apps." + package + ".v" + std::to_string(n);
  r.uid = uuid_v5("aac71d91-5c67-456f-8fd2-902ef6da820e", r.name);
  r.ref = "refs/tags/apps/" + package + "/v" + std::to_string(n);
  r.commit = id_of(content + 5000);
  r.tree = id_of(content);
  r.self_lock = {"https://git.example/r.git", "apps/" + package, "apps/" + package + "/v1", r.commit.hex()};
  r.published_by = "dev@example.org";
  r.published_at = wall_time{std::chrono::seconds{1'700'000'000 + n}};
  r.task_json = R"({"type":"init"})";
  r.kptfile.labels = {{"team", "blue"}};
  r.kptfile.conditions = {{"ready", "True", "ok", "fine"}};
  return r;
}

/// What must be streamed before `revision_of(..., content)` can be applied.
inline store::content_batch files_of(std::uint64_t content) {
  store::content_batch batch;
  const auto blob = id_of(content + 1'000'000);
  batch.contents.push_back({blob, "content " + std::to_string(content)});
  batch.trees.push_back({id_of(content), {{"Kptfile", file_kind::regular, blob, batch.contents[0].data.size()},
                                          {"big.bin", file_kind::omitted_too_large, id_of(content + 2'000'000), 1U << 30}}});
  return batch;
}

inline package_delta delta(std::vector<package_revision> added, std::vector<package_revision> changed = {}, std::vector<std::string> removed = {},
                           sync_basis basis = {}) {
  package_delta d;
  d.added = std::move(added);
  d.changed = std::move(changed);
  d.removed = std::move(removed);
  d.basis = std::move(basis);
  return d;
}

/// A cache in a directory of its own with one claimed repository, `default/repo`.
struct cache_fixture {
  scratch_directory scratch;
  std::filesystem::path file = scratch / "packages.db";
  wall_time now{std::chrono::seconds{1'800'000'000}};
  std::unique_ptr<store::package_cache> cache = value(store::open_package_cache(file, [this] { return now; }));
  std::unique_ptr<store::package_cache_reader> reader = value(store::open_package_cache_reader(file));
  store::repository_claim claim = value(cache->claim({"default", "repo"}, "uid-1", 1));
  std::int64_t start = value(reader->feed_position());

  store::apply_result apply(const package_delta& delta, const durable_state& state = {}) { return value(cache->apply_delta(claim, delta, state)); }
  void put_files(std::uint64_t first, std::uint64_t last) {
    for (auto n = first; n <= last; ++n)
      value(cache->put_contents(files_of(n)));
  }
  std::vector<std::string> names(const store::revision_query& query = {}) {
    std::vector<std::string> found;
    value(reader->list(query, [&](const store::cached_revision& r) {
      found.push_back(r.revision.name);
      return true;
    }));
    return found;
  }
};

} // namespace veranda::test
