// links: veranda_logic
#define BOOST_TEST_MODULE package_delta
#include "actors/logic/package_delta.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>

using namespace veranda;
using namespace veranda::logic;

namespace {

using milliseconds_f = std::chrono::duration<double, std::milli>;

package_revision revision(const std::string& package, std::int64_t number) {
  package_revision r;
  r.key = {.path = "infra", .package = package, .revision = number, .workspace = "v" + std::to_string(number)};
  r.name = "repo.infra." + package + ".v" + std::to_string(number);
  r.ref = "refs/tags/infra/" + package + "/v" + std::to_string(number);
  return r;
}
cached_entry cached(const package_revision& r) { return {r.name, r.digest()}; }

std::string names(const std::vector<package_revision>& revisions) {
  std::string out;
  for (const auto& r : revisions) out += r.key.package + std::to_string(r.key.revision) + " ";
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(nothing_against_nothing) {
  const auto d = make_delta({}, {}, {}, {"digest", "commit"});
  BOOST_TEST(d.empty());
  BOOST_TEST((d.basis == sync_basis{"digest", "commit"}));
  BOOST_TEST((d.stats == sync_stats{}));
}

BOOST_AUTO_TEST_CASE(added_changed_removed_and_kept) {
  const auto kept = revision("a", 1);
  auto moved = revision("b", 1);
  const auto was = cached(moved);
  moved.tree.bytes[0] = 1;
  const auto gone = revision("c", 1);
  const auto fresh = revision("a", 2);
  const auto d = make_delta({cached(gone), was, cached(kept), cached(revision("b", 9))}, {kept, fresh, moved}, {{"refs/tags/x", "odd", true}}, {});
  BOOST_TEST(names(d.added) == "a2 ");
  BOOST_TEST(names(d.changed) == "b1 ");
  BOOST_TEST(d.removed == (std::vector<std::string>{"repo.infra.b.v9", "repo.infra.c.v1"}), boost::test_tools::per_element());
  BOOST_TEST(d.stats.external_only == 1U);
  BOOST_TEST(d.stats.cached_only == 2U);
  BOOST_TEST(d.stats.both == 2U);
  BOOST_TEST(d.stats.changed == 1U);
  BOOST_TEST(d.stats.bad == 1U);
  BOOST_TEST(d.stats.packages == 2U);
  BOOST_TEST(d.stats.revisions == 3U);
}

BOOST_AUTO_TEST_CASE(the_same_found_again_is_empty) {
  std::vector<package_revision> found;
  std::vector<cached_entry> known;
  for (int i = 0; i < 50; ++i) found.push_back(revision("p" + std::to_string(i % 7), i));
  for (const auto& r : found) known.push_back(cached(r));
  const auto d = make_delta(known, found, {}, {});
  BOOST_TEST(d.empty());
  BOOST_TEST(d.stats.both == 50U);
  BOOST_TEST(d.stats.packages == 7U);
}

BOOST_AUTO_TEST_CASE(a_name_found_twice_is_kept_once_and_reported) {
  auto other = revision("a", 1);
  other.ref = "refs/tags/infra.a/v1";
  const auto d = make_delta({}, {revision("a", 1), other}, {}, {});
  BOOST_TEST(d.added.size() == 1U);
  BOOST_TEST(d.added[0].ref == "refs/tags/infra/a/v1");
  BOOST_REQUIRE(d.bad.size() == 1U);
  BOOST_TEST(d.bad[0].what == "refs/tags/infra.a/v1");
  BOOST_TEST(d.bad[0].excluded);
  BOOST_TEST(d.stats.revisions == 1U);
}

BOOST_AUTO_TEST_CASE(twelve_thousand_revisions) {
  std::vector<package_revision> found;
  std::vector<cached_entry> known;
  for (int i = 0; i < 12'000; ++i) found.push_back(revision("package-" + std::to_string(i / 10), i % 10 + 1));
  for (const auto& r : found) known.push_back(cached(r));
  const auto began = std::chrono::steady_clock::now();
  const auto d = make_delta(std::move(known), std::move(found), {}, {});
  BOOST_TEST_MESSAGE("12,000 revisions: " << milliseconds_f(std::chrono::steady_clock::now() - began).count() << " ms");
  BOOST_TEST(d.empty());
  BOOST_TEST(d.stats.packages == 1200U);
}
