// links: veranda_actors_kube veranda_adapter_store
#define BOOST_TEST_MODULE sync_process
#include "tests/support/mirrored_cache.hpp"

#include <boost/test/data/monomorphic.hpp>
#include <boost/test/data/test_case.hpp>

// The common sync process, once over the SQLite cache alone and once over the custom-resource cache: whatever a sync does to the rows, the objects follow.

using namespace veranda;
using namespace veranda::test;

namespace {

const auto both = boost::unit_test::data::make({false, true});
const std::string a1 = "repo.apps.a.v1", b1 = "repo.apps.b.v1", c1 = "repo.apps.c.v1";

package_revision rev(const std::string& package, std::uint64_t content = 1, const std::string& repository = "repo") { return revision_of(repository, package, 1, content); }

} // namespace

BOOST_DATA_TEST_CASE(what_is_found_is_added, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a"), rev("b", 2)}));
  p.expect({a1, b1});
  p.synced(delta({rev("c", 3)}));
  p.expect({a1, b1, c1});
}

BOOST_DATA_TEST_CASE(what_changed_is_changed, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a"), rev("b")}));
  p.expect({a1, b1});
  auto changed = rev("b", 2);
  changed.latest = true;
  changed.lifecycle = lifecycle::deletion_proposed;
  p.synced(delta({}, {changed}));
  p.expect({a1, b1});
  BOOST_TEST(p.rows()[b1].find("DeletionProposed") != std::string::npos);
  changed.latest = false;
  p.synced(delta({}, {changed}));
  p.expect({a1, b1});
}

BOOST_DATA_TEST_CASE(what_is_gone_is_removed, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a"), rev("b"), rev("c")}));
  p.expect({a1, b1, c1});
  p.synced(delta({}, {}, {a1, c1}));
  p.expect({b1});
  p.synced(delta({rev("a", 5)}, {}, {b1}));
  p.expect({a1});
}

BOOST_DATA_TEST_CASE(the_same_twice_writes_nothing, both, mirrored) {
  mirrored_cache p{mirrored};
  const auto first = p.synced(delta({rev("a"), rev("b")}));
  p.expect({a1, b1});
  p.take_asked();
  const auto again = p.synced(delta({rev("a"), rev("b")}));
  BOOST_TEST(again.position == first.position);
  p.advance(10s);
  p.expect({a1, b1});
  BOOST_TEST(p.take_asked().empty());
}

BOOST_DATA_TEST_CASE(a_bad_item_costs_only_itself, both, mirrored) {
  mirrored_cache p{mirrored};
  const auto other = p.claim_repository("repo.apps", "uid-other");
  p.synced(delta({rev("a"), rev("b")}));
  auto clash = rev("b", 2, "repo.apps");
  clash.name = b1; // as a repository `repo.apps` with a package `b` has it
  auto outcome = p.sync(other, delta({clash, rev("d", 3, "repo.apps")}));
  BOOST_REQUIRE(outcome.ok());
  BOOST_REQUIRE(outcome->rejected.size() == 1U);
  BOOST_TEST(outcome->rejected[0].reason.find("is taken by") != std::string::npos);
  p.expect({a1, b1, "repo.apps.apps.d.v1"});
  BOOST_TEST(p.rows()[b1].starts_with("repo uid-repo "));
}

BOOST_DATA_TEST_CASE(a_stale_fence_changes_nothing, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a")}));
  p.expect({a1});
  const auto old = p.claim;
  p.claim = p.claim_repository("repo", "uid-repo");
  BOOST_TEST(code(p.sync(old, delta({rev("b")}, {}, {a1}))) == "stale");
  p.advance(5s);
  p.expect({a1});
  p.synced(delta({rev("b")}, {}, {a1}));
  p.expect({b1});
}

BOOST_DATA_TEST_CASE(a_crash_in_the_middle_is_made_good, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a"), rev("b"), rev("c")}));
  p.expect({a1, b1, c1});
  for (unsigned requests = 0; requests < 9; ++requests)
    BOOST_TEST_CONTEXT("after " << requests << " requests") {
      p.server.serve = requests;
      const auto content = 4 + requests;
      p.synced(delta({rev("d", content)}, {rev("a", content)}, {b1}));
      p.advance(1s);
      p.crash();
      p.expect({a1, c1, "repo.apps.d.v1"});
      p.server.serve = requests;
      p.synced(delta({rev("b")}, {}, {"repo.apps.d.v1"}));
      p.advance(1s);
      p.crash();
      p.expect({a1, b1, c1});
    }
}

BOOST_DATA_TEST_CASE(a_repository_that_is_closed_leaves_nothing, both, mirrored) {
  mirrored_cache p{mirrored};
  const auto other = p.claim_repository("other", "uid-other");
  p.synced(delta({rev("a"), rev("b")}));
  BOOST_REQUIRE(p.sync(other, delta({rev("a", 1, "other")})).ok());
  p.expect({a1, b1, "other.apps.a.v1"});
  p.close(p.claim);
  p.expel(p.claim);
  p.expect({"other.apps.a.v1"});
}

BOOST_DATA_TEST_CASE(a_repository_that_is_closed_in_a_crash_leaves_nothing, both, mirrored) {
  for (unsigned requests = 0; requests < 5; ++requests)
    BOOST_TEST_CONTEXT("after " << requests << " requests") {
      mirrored_cache p{mirrored};
      p.synced(delta({rev("a"), rev("b")}));
      p.expect({a1, b1});
      p.server.serve = requests;
      p.close(p.claim);
      p.expel(p.claim);
      p.advance(1s);
      p.kill_keeper();
      p.server.serve = ~0U;
      if (mirrored)
        p.start_keeper();
      p.expel(p.claim);
      p.expect({});
    }
}

BOOST_DATA_TEST_CASE(a_repository_that_is_made_anew_owns_what_is_found_anew, both, mirrored) {
  mirrored_cache p{mirrored};
  p.synced(delta({rev("a"), rev("b")}));
  p.expect({a1, b1});
  p.claim = p.claim_repository("repo", "uid-new");
  p.synced(delta({rev("a"), rev("c")}));
  p.expect({a1, c1});
  BOOST_TEST(p.rows()[a1].starts_with("repo uid-new "));
}
