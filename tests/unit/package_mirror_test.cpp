// links: veranda_adapter_store
#define BOOST_TEST_MODULE package_mirror
#include "adapters/store/package_mirror_reader.hpp"
#include "tests/support/store_fixture.hpp"

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;

namespace {

struct mirror : cache_fixture {
  std::unique_ptr<package_mirror_reader> copy = value(open_package_mirror_reader(file));
  /// `+a` for what is current, `-a` for what left.
  std::string changes(std::int64_t& position, std::size_t limit = 100) {
    std::vector<revision_change> all;
    position = value(copy->changes_after(position, limit, all));
    std::string text;
    for (const auto& c : all)
      text += (text.empty() ? "" : " ") + std::string{c.now ? "+" : "-"} + c.name.name.substr(10, 1) + (c.now && c.now->repository_uid != "uid-1" ? "?" : "");
    return text;
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(mirrors, mirror)

BOOST_AUTO_TEST_CASE(what_is_current_is_listed_with_its_owner) {
  put_files(1, 1);
  const auto outcome = apply(delta({revision_of("repo", "a", 1), revision_of("repo", "b", 1)}));
  std::string names;
  BOOST_TEST(value(copy->list([&](const owned_revision& r) { names += r.cached.revision.name + " " + r.repository_uid + " "; })) == outcome.position);
  BOOST_TEST(names == "repo.apps.a.v1 uid-1 repo.apps.b.v1 uid-1 ");
  const auto one = value(copy->get({"default", "repo.apps.b.v1"}));
  BOOST_REQUIRE(one);
  BOOST_CHECK(one->cached.revision == revision_of("repo", "b", 1));
  BOOST_TEST(one->cached.repository.name == "repo");
  BOOST_TEST(!value(copy->get({"default", "repo.apps.z.v1"})));
}

BOOST_AUTO_TEST_CASE(changes_are_what_became_of_a_name) {
  put_files(1, 3);
  auto at = start;
  apply(delta({revision_of("repo", "a", 1), revision_of("repo", "b", 1), revision_of("repo", "c", 1)}));
  apply(delta({}, {revision_of("repo", "a", 1, 2)}, {"repo.apps.b.v1"}));
  apply(delta({revision_of("repo", "b", 1, 3)}));
  auto from_start = at;
  BOOST_TEST(changes(from_start) == "+c -b +a +b"); // states in between are left out
  BOOST_TEST(from_start == value(reader->feed_position()));
  BOOST_TEST(changes(from_start) == "");
  std::string pieces;
  for (auto before = at - 1; before != at;) {
    before = at;
    pieces += "[" + changes(at, 2) + "]";
  }
  BOOST_TEST(pieces == "[][+c -b][+a +b][]");
}

BOOST_AUTO_TEST_CASE(a_position_that_the_feed_does_not_have_is_stale) {
  std::vector<revision_change> all;
  BOOST_TEST(code(copy->changes_after(start - 1, 10, all)) == "stale");
  BOOST_TEST(code(copy->changes_after(start + 1, 10, all)) == "stale");
}

BOOST_AUTO_TEST_CASE(a_repository_is_synced_once_a_sync_has_succeeded) {
  const auto seen = [this] { return value(copy->repository(claim.key)); };
  BOOST_CHECK((seen() == cached_repository{"uid-1", false}));
  BOOST_TEST(!value(copy->repository({claim.key.ns, "another"})));
  durable_state failed;
  failed.last_error = "no connection";
  value(cache->put_state(claim, failed));
  BOOST_TEST(!seen()->synced);
  durable_state state;
  state.last_success = now;
  apply(delta({}), state);
  BOOST_TEST(seen()->synced);
  value(cache->close(claim));
  BOOST_TEST(!seen());
}

BOOST_AUTO_TEST_CASE(a_file_that_was_replaced_is_outdated) {
  BOOST_TEST(!copy->outdated());
  cache.reset();
  value(move_aside(file, now));
  cache = value(open_package_cache(file, [this] { return now; }));
  BOOST_TEST(copy->outdated());
}

BOOST_AUTO_TEST_SUITE_END()
