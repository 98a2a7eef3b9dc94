// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_machine
#include "actors/logic/package_rev_machine.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

part_digest digest_of(char c) {
  part_digest d{};
  d.fill(static_cast<std::uint8_t>(c));
  return d;
}
object_key key(const std::string& name) { return {"ns", name}; }

/// An object as we would have written it for content `c`.
package_rev_view ours(char c, const std::string& version = "10", const std::string& uid = "u1") { return {uid, version, "repo", digest_of(c), false, true, true, false, {}}; }
package_rev_view terminating(package_rev_view v) {
  v.terminating = true;
  return v;
}
package_rev_view released(package_rev_view v, const std::string& version) {
  v.held = false;
  v.digest = digest_of('?');
  v.resource_version = version;
  return v;
}
failure fails(ec code) { return {code, "no", {}, {}, {}}; }

struct machine : package_rev_machine {
  explicit machine(package_rev_policy policy = {}, bool synced = true) : package_rev_machine(policy) {
    if (synced) enter_step({key("repo"), key("other")}, now);
  }
  /// Both sides are known, and hold what was told before.
  void ready() {
    begin_revisions();
    end_revisions(now);
    listed(now);
  }
  void wanted(const std::string& name, char c, const std::string& repository = "repo") { want(key(name), repository, digest_of(c), now); }
  /// What is started: `create a, patch b`.
  std::string asked() {
    std::string out;
    for (const auto& o : start(now)) {
      out += (out.empty() ? "" : ", ") + std::string{to_string(o.call)} + " " + o.key.name;
      last = o;
    }
    return out;
  }
  void later(std::chrono::milliseconds d) { now += d; }
  /// What is asked once whatever is waited for is over; how long that takes is in `waited`.
  std::string asked_when_due() {
    const auto before = now;
    for (int i = 0; i < 50; ++i) {
      if (auto text = asked(); !text.empty() || !due()) {
        waited = now - before;
        return text;
      }
      now = std::max(now, *due());
    }
    return "nothing";
  }
  time now{1h};
  package_rev_order last;
  time::duration waited{};
};

} // namespace

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

BOOST_AUTO_TEST_CASE(a_server_that_does_not_serve_is_tried_by_one_request_at_a_time) {
  machine m;
  m.ready();
  for (const auto* name : {"a", "b", "c"})
    m.wanted(name, '1');
  BOOST_TEST(m.asked() == "create a, create b, create c");
  BOOST_TEST(m.failed(key("a"), fails(ec::unreachable), m.now, 0.0));
  BOOST_TEST(!m.failed(key("b"), fails(ec::unreachable), m.now, 0.0)); // said already
  BOOST_TEST(!m.failed(key("c"), fails(ec::unreachable), m.now, 0.0));
  BOOST_TEST(m.count().failing == 3U);
  BOOST_TEST(m.asked() == "");
  BOOST_TEST(m.asked_when_due().size() == std::string{"create a"}.size());
  m.answered(m.last.key, ours('1'), m.now);
  BOOST_TEST(m.asked().size() == std::string{"create b, create c"}.size());
}

BOOST_AUTO_TEST_CASE(a_login_page_in_front_of_the_server_is_one_outage) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  m.wanted("b", '1', "other");
  m.asked();
  BOOST_TEST(m.failed(key("a"), fails(ec::unsupported), m.now, 0.0));
  BOOST_TEST(!m.failed(key("b"), fails(ec::unsupported), m.now, 0.0));
  BOOST_TEST(m.asked() == "");
  BOOST_TEST(m.asked_when_due().size() == std::string{"create a"}.size());
  BOOST_CHECK(m.waited < 30s);
}

BOOST_AUTO_TEST_CASE(a_server_that_asks_for_time_gets_it) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  BOOST_TEST(m.asked() == "create a");
  auto why = fails(ec::throttled);
  why.retry_after = 40s;
  m.failed(key("a"), why, m.now, 0.0);
  BOOST_TEST(m.asked_when_due() == "create a");
  BOOST_CHECK(m.waited == 40s);
}

BOOST_AUTO_TEST_CASE(a_repository_that_may_not_be_written_holds_up_no_other) {
  machine m;
  m.ready();
  m.wanted("a", '1');
  m.wanted("b", '1');
  m.asked();
  BOOST_TEST(m.failed(key("a"), fails(ec::auth_rejected), m.now, 0.0));
  BOOST_TEST(!m.failed(key("b"), fails(ec::auth_rejected), m.now, 0.0));
  m.wanted("c", '1', "other");
  BOOST_TEST(m.asked() == "create c");
  m.answered(key("c"), ours('1'), m.now);
  BOOST_TEST(m.asked_when_due().size() == std::string{"create a"}.size()); // one that tries
}

BOOST_AUTO_TEST_CASE(an_object_that_is_refused_holds_up_nothing_and_is_tried_when_it_changes) {
  machine m;
  m.ready();
  m.wanted("A_bad.name", '1');
  BOOST_TEST(m.asked() == "create A_bad.name");
  BOOST_TEST(m.failed(key("A_bad.name"), fails(ec::invalid_spec), m.now, 0.0));
  m.wanted("b", '1');
  BOOST_TEST(m.asked() == "create b");
  m.answered(key("b"), ours('1'), m.now);
  m.seen(key("b"), ours('1'), m.now);
  BOOST_TEST(m.asked() == "");
  m.wanted("A_bad.name", '2');
  BOOST_TEST(m.asked() == "create A_bad.name");
  m.failed(key("A_bad.name"), fails(ec::invalid_spec), m.now, 0.0);
  BOOST_TEST(m.asked_when_due() == "create A_bad.name");
  BOOST_CHECK(m.waited == 10min);
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
