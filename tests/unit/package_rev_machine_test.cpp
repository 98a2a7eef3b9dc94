// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_machine
#include "tests/support/package_rev_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(nothing_is_asked_before_both_sides_are_known) {
  machine m;
  m.begin_revisions();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "");
  m.end_revisions(m.now);
  BOOST_TEST(m.asked() == "");
  m.listed(m.now);
  BOOST_TEST(m.asked() == "create a");
}

BOOST_AUTO_TEST_CASE(what_is_as_wanted_costs_nothing) {
  machine m;
  m.seen(key("a"), ours('1'), m.now);
  m.listed(m.now);
  m.begin_revisions();
  m.wanted("a", '1');
  m.end_revisions(m.now);
  BOOST_TEST(m.asked() == "");
  BOOST_CHECK((m.count() == package_rev_machine::counts{1, 1, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(a_revision_is_one_request_to_make_and_two_to_remove) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.answered(key("a"), ours('1'), m.now);
  m.seen(key("a"), ours('1'), m.now); // the watch comes later
  BOOST_TEST(m.asked() == "");
  m.wanted("a", '2');
  BOOST_TEST(m.asked() == "patch a");
  BOOST_TEST(m.last.resource_version == "10");
  m.answered(key("a"), ours('2', "11"), m.now);
  m.seen(key("a"), ours('1'), m.now); // from before that write
  BOOST_TEST(m.asked() == "");
  m.unwant(key("a"), m.now);
  BOOST_TEST(m.asked() == "release a");
  m.answered(key("a"), released(ours('2'), "12"), m.now);
  BOOST_TEST(m.asked() == "remove a");
  BOOST_TEST(m.last.uid == "u1");
  m.ended(key("a"), m.now);
  m.seen(key("a"), released(ours('2'), "12"), m.now);
  BOOST_TEST(m.asked() == "");
  m.gone(key("a"), "u1", m.now);
  BOOST_TEST(m.size() == 0U);
}

BOOST_AUTO_TEST_CASE(removals_of_a_repository_come_before_its_writes) {
  machine m;
  m.seen(key("old"), ours('1'), m.now);
  m.listed(m.now);
  m.begin_revisions();
  m.wanted("new", '1');
  m.wanted("elsewhere", '1', "other");
  m.end_revisions(m.now);
  const auto first = m.asked();
  BOOST_TEST((first == "release old, create elsewhere" || first == "create elsewhere, release old"), first);
  m.answered(key("old"), released(ours('1'), "11"), m.now);
  BOOST_TEST(m.asked() == "remove old");
  m.ended(key("old"), m.now);
  BOOST_TEST(m.asked() == "create new");
}

BOOST_AUTO_TEST_CASE(objects_without_a_revision_go_only_where_the_cache_knows_that_there_is_none) {
  machine m{{}, false};
  auto stranger = ours('1');
  stranger.repository = "stranger";
  auto fresh = ours('1');
  fresh.repository = "fresh";
  m.enter_step({key("repo")}, m.now);
  m.seen(key("of-stranger"), stranger, m.now);
  m.seen(key("of-fresh"), fresh, m.now);
  m.seen(key("of-repo"), ours('1'), m.now);
  m.ready();
  BOOST_TEST(m.asked() == "release of-repo");
  BOOST_TEST(m.last.absent);
  BOOST_CHECK((m.last.repository == key("repo")));
  BOOST_TEST(m.count().strays == 2U);
  m.enter_step({key("fresh")}, m.now);
  BOOST_TEST(m.asked() == "release of-fresh");
  BOOST_TEST(m.count().strays == 1U);
  m.leave_step({key("repo"), key("fresh")}, m.now);
  m.answered(key("of-repo"), released(ours('1'), "11"), m.now);
  BOOST_TEST(m.asked() == ""); // nothing follows from the cache any more
  BOOST_TEST(m.count().strays == 3U);
}

BOOST_AUTO_TEST_CASE(nothing_of_a_repository_is_written_before_a_sync_of_it_has_succeeded) {
  machine m{{}, false};
  m.seen(key("behind"), ours('2'), m.now);
  m.seen(key("unknown"), ours('1'), m.now);
  m.seen(key("as-it-is"), ours('1'), m.now);
  m.ready();
  for (const auto* name : {"behind", "gone", "as-it-is"}) m.wanted(name, '1');
  BOOST_TEST(m.asked() == "");
  BOOST_TEST(m.count().pending == 0U);
  m.unwant(key("as-it-is"), m.now); // rows that leave say nothing, either
  BOOST_TEST(m.asked() == "");
  // The sync: what the rows had was the past.
  m.wanted("behind", '2');
  m.wanted("unknown", '1');
  m.wanted("as-it-is", '1');
  m.unwant(key("gone"), m.now);
  m.enter_step({key("repo")}, m.now);
  BOOST_TEST(m.asked() == "");
  BOOST_CHECK((m.count() == package_rev_machine::counts{3, 3, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(a_repository_is_expelled_when_its_last_object_is_gone) {
  machine m;
  m.seen(key("a"), ours('1'), m.now);
  BOOST_TEST(m.take_expelled(key("unheard-of")));
  m.expel(key("repo"), m.now);
  BOOST_TEST(!m.take_expelled(key("repo"))); // who knows what is there
  m.ready();
  BOOST_TEST(m.asked() == "release a");
  BOOST_TEST(!m.last.absent);
  m.answered(key("a"), released(ours('1'), "11"), m.now);
  BOOST_TEST(m.asked() == "remove a");
  BOOST_TEST(!m.take_expelled(key("repo")));
  m.ended(key("a"), m.now);
  BOOST_TEST(m.take_expelled(key("repo")));
}

BOOST_AUTO_TEST_CASE(what_comes_after_an_expulsion_has_ended_stays) {
  struct row {
    const char* what;
    bool was_there;
  };
  for (const auto& r : {row{"no object was ever seen", false}, row{"those that were seen went with their definition", true}})
    BOOST_TEST_CONTEXT(r.what) {
      machine m{{}, false};
      m.begin_revisions();
      m.end_revisions(m.now);
      if (r.was_there) m.seen(key("a"), ours('1'), m.now);
      m.expel(key("repo"), m.now);
      m.end_expulsion(key("repo"), m.now);
      m.seen(key("b"), ours('1', "20", "u2"), m.now); // the definition is there again, and somebody has restored an object
      m.listed(m.now);
      BOOST_TEST(m.asked() == "");
      BOOST_TEST(m.count().strays == (r.was_there ? 2U : 1U));
    }
}

BOOST_AUTO_TEST_CASE(what_keeps_objects_of_an_expelled_repository_is_named) {
  machine m{{}, false};
  auto kept = terminating(released(ours('1'), "12"));
  kept.foreign = "theirs";
  m.seen(key("a"), kept, m.now);
  m.seen(key("b"), ours('1', "10", "u2"), m.now);
  m.ready();
  m.expel(key("repo"), m.now);
  BOOST_TEST(m.asked() == "release b");
  auto why = m.obstacle_of(key("repo"));
  BOOST_TEST(why.held == 1U);
  BOOST_CHECK((why.example == key("a")));
  BOOST_TEST(why.foreign == "theirs");
  BOOST_TEST(!why.refused);
  m.failed(key("b"), fails(ec::auth_rejected), m.now, 0.5);
  why = m.obstacle_of(key("repo"));
  BOOST_REQUIRE(why.refused);
  BOOST_CHECK((why.refused->code == ec::auth_rejected));
  BOOST_TEST(m.asked_when_due() == "release b");
  m.answered(key("b"), terminating(released(ours('1', "10", "u2"), "13")), m.now);
  BOOST_TEST(!m.obstacle_of(key("repo")).refused); // it healed
  BOOST_TEST(m.obstacle_of(key("other")).held == 0U);
}

BOOST_AUTO_TEST_CASE(no_more_than_allowed_is_under_way_and_repositories_take_turns) {
  package_rev_policy policy;
  policy.max_in_flight = 2;
  machine m{policy};
  m.ready();
  for (int i = 0; i < 100; ++i)
    m.wanted("a" + std::to_string(i), '1');
  m.wanted("z", '1', "other");
  const auto first = m.asked();
  BOOST_TEST(first.find("create z") != std::string::npos, first);
  BOOST_TEST(m.in_flight() == 2U);
  BOOST_TEST(m.asked() == "");
}

BOOST_AUTO_TEST_CASE(a_whole_list_of_revisions_tells_what_is_not_there) {
  machine m;
  m.seen(key("a"), ours('1'), m.now);
  m.seen(key("b"), ours('1'), m.now);
  m.listed(m.now);
  for (const auto* left : {"ab", "b"}) {
    m.begin_revisions();
    for (const char* c = left; *c != 0; ++c)
      m.wanted(std::string(1, *c), '1');
    m.end_revisions(m.now);
    BOOST_TEST(m.asked() == (left[0] == 'a' ? "" : "release a"));
  }
}
