// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_others
#include "tests/support/package_rev_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(what_others_delete_comes_back_when_it_has_gone) {
  machine m;
  m.seen(key("a"), ours('1'), m.now);
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "");
  m.seen(key("a"), terminating(ours('1', "11")), m.now); // our finalizer keeps it
  BOOST_TEST(m.asked() == "release a");
  m.answered(key("a"), terminating(released(ours('1'), "12")), m.now); // somebody else's keeps it
  BOOST_TEST(m.asked() == "");
  m.gone(key("a"), "u1", m.now);
  BOOST_TEST(m.asked() == "");
  BOOST_TEST(m.asked_when_due() == "create a");
  BOOST_CHECK(m.waited == 2s);
}

BOOST_AUTO_TEST_CASE(one_that_others_delete_is_missing_for_a_while) {
  struct row {
    const char* what;
    void (*end)(machine& m);
    std::chrono::seconds missing;
  };
  const row rows[] = {
    {"the watch tells that it has gone", [](machine& m) { m.gone(key("a"), "u1", m.now); }, 2s},
    {"our finalizer was its last",
     [](machine& m) {
       m.seen(key("a"), terminating(ours('1', "11")), m.now);
       BOOST_TEST(m.asked() == "release a");
       auto last = terminating(released(ours('1'), "12"));
       last.ended = true;
       m.answered(key("a"), last, m.now);
       m.gone(key("a"), "u1", m.now);
     },
     2s},
    {"a request about it finds nothing",
     [](machine& m) {
       m.wanted("a", '2');
       BOOST_TEST(m.asked() == "patch a");
       m.ended(key("a"), m.now);
     },
     2s},
    {"it was us, and its revision came back",
     [](machine& m) {
       m.unwant(key("a"), m.now);
       BOOST_TEST(m.asked() == "release a");
       m.answered(key("a"), released(ours('1'), "11"), m.now);
       BOOST_TEST(m.asked() == "remove a");
       m.ended(key("a"), m.now);
       m.wanted("a", '1');
     },
     0s},
  };
  for (const auto& r : rows)
    BOOST_TEST_CONTEXT(r.what) {
      machine m;
      m.seen(key("a"), ours('1'), m.now);
      m.ready();
      m.wanted("a", '1');
      r.end(m);
      BOOST_TEST(m.asked_when_due() == "create a");
      BOOST_CHECK(m.waited == r.missing);
    }
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_its_last_is_its_end) {
  machine m;
  m.seen(key("a"), terminating(ours('1')), m.now);
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "release a");
  auto last = terminating(released(ours('1'), "12"));
  last.ended = true;
  m.answered(key("a"), last, m.now);
  BOOST_TEST(m.asked_when_due() == "create a");
}

BOOST_AUTO_TEST_CASE(one_that_the_watch_does_not_see_go_is_looked_at) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  m.asked();
  m.exists(key("a"), m.now);
  BOOST_TEST(m.asked() == "read a");
  auto unlabelled = terminating(released(ours('1'), "12"));
  unlabelled.repository.clear();
  m.answered(key("a"), unlabelled, m.now);
  BOOST_TEST(m.asked_when_due() == "read a");
  BOOST_CHECK(m.waited == 30s);
  m.ended(key("a"), m.now);
  BOOST_TEST(m.asked_when_due() == "create a");
}

BOOST_AUTO_TEST_CASE(what_others_edit_is_put_right_and_slower_when_they_do_not_stop) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.answered(key("a"), ours('1', "1"), m.now);
  std::vector<int> waits;
  for (int turn = 1; turn < 12; ++turn) {
    m.seen(key("a"), ours('x', std::to_string(2 * turn)), m.now);
    BOOST_TEST(m.asked_when_due() == "patch a");
    waits.push_back(static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(m.waited).count()));
    m.answered(key("a"), ours('1', std::to_string(2 * turn + 1)), m.now);
  }
  BOOST_TEST(waits[0] == 0);
  BOOST_TEST(waits[1] == 2);
  BOOST_TEST(waits.back() == 300);
  m.later(11min);
  m.seen(key("a"), ours('x', "100"), m.now);
  BOOST_TEST(m.asked() == "patch a");
  m.answered(key("a"), ours('1', "101"), m.now);
  m.seen(key("a"), ours('x', "102"), m.now);
  BOOST_TEST(m.asked() == "patch a"); // forgiven
}

BOOST_AUTO_TEST_CASE(what_is_being_deleted_is_let_go_of_when_it_is_ours) {
  struct row {
    const char* what;
    bool mine, held, in_step, wanted;
    const char* asked;
  };
  const row rows[] = {
    {"the garbage collector's, of a repository that is unknown", true, true, false, false, "release a"},
    {"another program's", false, true, false, false, ""},
    {"another program's, with the label of a repository in step", false, true, true, false, "release a"},
    {"somebody else's finalizer is left", true, false, false, false, ""},
    {"of a revision that is there, before its first sync", true, true, false, true, "release a"},
    {"of a revision that is there", true, true, true, true, "release a"},
  };
  for (const auto& r : rows)
    BOOST_TEST_CONTEXT(r.what) {
      machine m{{}, r.in_step};
      auto view = terminating(ours('1'));
      view.mine = r.mine;
      view.held = r.held;
      m.seen(key("a"), view, m.now);
      m.ready();
      if (r.wanted) m.wanted("a", '1');
      BOOST_TEST(m.asked() == r.asked);
      BOOST_TEST(!m.last.absent); // whatever the cache has
    }
}

BOOST_AUTO_TEST_CASE(one_that_lost_its_label_while_it_ends_is_nobodys) {
  machine m;
  m.seen(key("a"), ours('x'), m.now);
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "patch a");
  m.unwant(key("a"), m.now);
  auto unlabelled = terminating(ours('x', "11"));
  unlabelled.repository.clear();
  m.answered(key("a"), unlabelled, m.now);
  BOOST_TEST(m.asked() == "");
}

BOOST_AUTO_TEST_CASE(one_that_exists_is_read_and_adopted) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.exists(key("a"), m.now);
  BOOST_TEST(m.asked() == "read a");
  auto unlabelled = ours('x', "7");
  unlabelled.repository.clear();
  unlabelled.foreign = "theirs";
  m.answered(key("a"), unlabelled, m.now);
  BOOST_TEST(m.asked() == "patch a");
  BOOST_TEST(m.last.resource_version == "7");
  BOOST_TEST(m.last.foreign == "theirs");
  m.answered(key("a"), ours('1', "8"), m.now);
  BOOST_TEST(m.asked() == "");
}

BOOST_AUTO_TEST_CASE(a_conflict_is_read_anew) {
  machine m;
  m.seen(key("a"), ours('x'), m.now);
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "patch a");
  BOOST_TEST(!m.failed(key("a"), fails(ec::conflict), m.now, 0.5));
  BOOST_TEST(m.asked() == "read a");
  m.answered(key("a"), ours('x', "3"), m.now); // a lower version: the server was restored
  BOOST_TEST(m.asked() == "patch a");
  BOOST_TEST(m.last.resource_version == "3");
}

BOOST_AUTO_TEST_CASE(what_ended_while_a_request_was_under_way_is_not_brought_back_by_its_answer) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.seen(key("a"), ours('1'), m.now);
  m.gone(key("a"), "u1", m.now);
  m.answered(key("a"), ours('1'), m.now);
  BOOST_TEST(m.asked_when_due() == "create a");
}

BOOST_AUTO_TEST_CASE(what_the_watch_never_shows_is_read) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.answered(key("a"), ours('1'), m.now);
  BOOST_TEST(m.asked_when_due() == "read a");
  BOOST_CHECK(m.waited == 5min);
  m.ended(key("a"), m.now);
  BOOST_TEST(m.asked_when_due() == "create a");
}

BOOST_AUTO_TEST_CASE(a_past_that_came_back_is_read) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  m.answered(key("a"), ours('1', "20"), m.now);
  m.seen(key("a"), ours('x', "12"), m.now);
  BOOST_TEST(m.asked() == "");
  m.listed(m.now);
  BOOST_TEST(m.asked() == "read a");
}
