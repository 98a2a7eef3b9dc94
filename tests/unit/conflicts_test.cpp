// links: veranda_logic
#define BOOST_TEST_MODULE conflicts
#include "actors/logic/conflicts.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>

using namespace veranda;
using namespace veranda::logic;

namespace {

using milliseconds_f = std::chrono::duration<double, std::milli>;

repository_object repo(const std::string& ns, const std::string& name, const std::string& directory, const std::string& url = "https://git.example/r",
                       const std::string& branch = "main") {
  repository_object o;
  o.meta.key = {ns, name};
  o.spec.type = repository_type::git;
  o.spec.git.emplace();
  o.spec.git->repo = url;
  o.spec.git->branch = branch;
  o.spec.git->directory = directory;
  return o;
}

bool conflict(const repository_object& a, const repository_object& b) {
  const auto found = find_conflicts({a, b});
  const bool one = found.contains(a.meta.key);
  BOOST_TEST(one == found.contains(b.meta.key)); // always mutual
  return one;
}

} // namespace

BOOST_AUTO_TEST_CASE(url_is_normalised_as_the_reference_does) {
  BOOST_TEST(normalised_url("https://git.example:8443/a/b.git") == "https---git.example-8443-a-b.git");
}

BOOST_AUTO_TEST_CASE(rules) {
  struct row {
    const char* why;
    repository_object a, b;
    bool expected;
  };
  const row rows[] = {
      {"same namespace, same directory", repo("x", "a", "d"), repo("x", "b", "d"), true},
      {"same namespace, both root", repo("x", "a", ""), repo("x", "b", ""), true},
      {"other namespace, same directory", repo("x", "a", "d"), repo("y", "a", "d"), false},
      {"other namespace, both root", repo("x", "a", ""), repo("y", "a", ""), false},
      {"exactly one root", repo("x", "a", ""), repo("y", "b", "d"), true},
      {"inside", repo("x", "a", "d"), repo("y", "b", "d/e/f"), true},
      {"sisters", repo("x", "a", "d/e"), repo("x", "b", "d/f"), false},
      {"a name that only begins alike", repo("x", "a", "d"), repo("x", "b", "d-2"), false},
      {"a name that only begins alike, below", repo("x", "a", "d"), repo("x", "b", "d-2/e"), false},
      {"other branch", repo("x", "a", "d"), repo("x", "b", "d", "https://git.example/r", "dev"), false},
      {"other url", repo("x", "a", "d"), repo("x", "b", "d", "https://git.example/q"), false},
      {"url equal after normalising", repo("x", "a", "d", "https://git.example/a/b"), repo("x", "b", "d", "https://git.example/a:b"), true},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.why) {
      BOOST_TEST(conflict(r.a, r.b) == r.expected);
      BOOST_TEST(conflict(r.b, r.a) == r.expected);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_synced_conflicts_with_nothing) {
  auto invalid = repo("x", "b", "d");
  invalid.problems.push_back({"spec.git.repo", "", "must be given"});
  BOOST_TEST(!conflict(repo("x", "a", "d"), invalid));
  auto leaving = repo("x", "b", "d");
  leaving.meta.deleted = wall_time{};
  BOOST_TEST(!conflict(repo("x", "a", "d"), leaving));
  auto oci = repo("x", "b", "d");
  oci.spec.git.reset();
  BOOST_TEST(!conflict(repo("x", "a", "d"), oci));
}

BOOST_AUTO_TEST_CASE(each_names_all_others_sorted) {
  const auto found = find_conflicts({repo("x", "root", ""), repo("z", "c", "d/e"), repo("y", "b", "d"), repo("y", "free", "d", "https://else.where/")});
  BOOST_TEST(found.size() == 3U);
  BOOST_TEST((found.at({"x", "root"}) == std::vector<object_key>{{"y", "b"}, {"z", "c"}}));
  BOOST_TEST((found.at({"z", "c"}) == std::vector<object_key>{{"x", "root"}, {"y", "b"}}));
}

BOOST_AUTO_TEST_CASE(many_objects) {
  std::vector<repository_object> apart;
  std::vector<repository_object> alike;
  for (int i = 0; i < 5000; ++i) {
    apart.push_back(repo("ns" + std::to_string(i % 50), "r" + std::to_string(i), "dir" + std::to_string(i) + "/pkgs", "https://git.example/" + std::to_string(i % 500)));
    alike.push_back(repo("ns", "r" + std::to_string(i), i % 2 == 0 ? "" : "a/b/c"));
  }
  const auto began = std::chrono::steady_clock::now();
  BOOST_TEST(find_conflicts(apart).empty());
  const auto middle = std::chrono::steady_clock::now();
  const auto found = find_conflicts(alike);
  BOOST_TEST_MESSAGE("5,000 apart: " << milliseconds_f(middle - began).count() << " ms, 5,000 that all conflict: "
                                     << milliseconds_f(std::chrono::steady_clock::now() - middle).count() << " ms");
  BOOST_TEST(found.size() == 5000U);
  BOOST_TEST(found.begin()->second.size() == max_listed_conflicts);
}
