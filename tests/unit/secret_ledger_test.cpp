// links: veranda_logic
#define BOOST_TEST_MODULE secret_ledger
#include "actors/logic/secret_ledger.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

using keys = std::vector<object_key>;
const object_key git{"team", "git"}, other{"team", "other"}, far{"zoo", "git"};
constexpr auto young = 5s;

struct book {
  secret_ledger subject;
  secret_ledger::time now{1h};
  secret_ledger::since watched; ///< since when everything is told

  book() {
    for (const auto& key : {git, other, far})
      subject.use(key, "a");
  }
  bool must_read(const object_key& key = git) const { return subject.must_read(key, now, young, watched); }
  /// True: those who use it sync.
  bool read(const std::string& version = "1", const object_key& key = git) { return read_as({true, false, version}, key); }
  bool read_as(const secret_reading& reading, const object_key& key = git) {
    subject.begun(key);
    return subject.ended(key, reading, now, watched);
  }
  void refuse(const std::string& version = "1", const object_key& key = git) { subject.tried(key, true, version, now, young, watched); }
  keys overdue(std::size_t most = 10) {
    return subject.overdue(most, [this](const std::string&) { return watched; });
  }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(without_a_watch, book)

BOOST_AUTO_TEST_CASE(it_is_read_before_each_use_unless_that_was_just_done) {
  BOOST_TEST(must_read());
  read();
  BOOST_TEST(!must_read());
  now += 4999ms;
  BOOST_TEST(!must_read());
  now += 1ms;
  BOOST_TEST(must_read());
}

BOOST_AUTO_TEST_CASE(a_change_is_told_to_those_whose_remote_refused_it) {
  read("1");
  BOOST_TEST(!read_as({true, true, "2"})); // they use it now
  refuse("2");
  BOOST_TEST(!read("2"));
  BOOST_TEST(read("3"));
  BOOST_TEST(!read("3"));
  BOOST_TEST(read("4"));
  subject.tried(git, false, "4", now, young, watched);
  BOOST_TEST(!read("5"));
}

BOOST_AUTO_TEST_CASE(those_that_were_refused_are_read_in_turn) {
  for (const auto& key : {git, other, far}) {
    read("1", key);
    refuse("1", key);
  }
  BOOST_TEST(subject.refused() == 3U);
  BOOST_TEST((overdue(2) == keys{git, other}));
  BOOST_TEST((overdue(2) == keys{far, git}));
  subject.begun(other); // already under way
  BOOST_TEST((overdue() == keys{far, git}));
  subject.tried(far, false, "1", now, young, watched);
  BOOST_TEST((overdue() == keys{git}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_SUITE(with_a_watch, book)

BOOST_AUTO_TEST_CASE(what_was_read_since_is_good_until_it_changes) {
  read();
  now += 1h;
  watched = now;
  BOOST_TEST(must_read()); // it was read before the watch
  read();
  now += 24h;
  BOOST_TEST(!must_read());
  subject.changed(git, "2");
  BOOST_TEST(must_read());
  BOOST_TEST((subject.stale(10) == keys{git}));
  BOOST_TEST(read_as({true, true, "2"}));
  BOOST_TEST(!must_read());
  BOOST_TEST(subject.stale(10).empty());
  watched.reset(); // broken
  now += young;
  BOOST_TEST(must_read());
}

BOOST_AUTO_TEST_CASE(what_only_looks_different_syncs_nobody) {
  watched = now;
  read("1");
  BOOST_TEST(!read("2")); // an annotation that nothing here reads
}

BOOST_AUTO_TEST_CASE(a_change_during_a_reading_is_read_once_more) {
  watched = now;
  read("1");
  subject.changed(git, "2");
  subject.begun(git);
  BOOST_TEST(subject.stale(10).empty());
  subject.changed(git, "3");
  BOOST_TEST(subject.stale(10).empty()); // while that is under way
  subject.ended(git, {true, true, "2"}, now, watched);
  BOOST_TEST((subject.stale(10) == keys{git}));
  subject.begun(git);
  subject.changed(git, "4"); // and this time the reading saw it
  subject.ended(git, {true, true, "4"}, now, watched);
  BOOST_TEST(subject.stale(10).empty());
  BOOST_TEST(!must_read());
}

BOOST_AUTO_TEST_CASE(an_event_that_comes_late_costs_one_reading) {
  watched = now;
  read("2");
  subject.changed(git, "1");
  read("2");
  BOOST_TEST(subject.stale(10).empty());
  BOOST_TEST(!must_read());
}

BOOST_AUTO_TEST_CASE(a_reading_that_failed_is_made_again) {
  watched = now;
  read("1");
  refuse("1");
  BOOST_TEST(overdue().empty()); // its change would be told
  subject.changed(git, "2");
  BOOST_TEST(!read_as({false, false, "1"}));
  BOOST_TEST((overdue() == keys{git}));
  BOOST_TEST(!must_read()); // not for each who asks
  now += young;
  BOOST_TEST(must_read());
  BOOST_TEST(read("2"));
  BOOST_TEST(overdue().empty());
}

BOOST_AUTO_TEST_CASE(those_refused_before_the_watch_are_read_once_more) {
  read("1");
  refuse("1");
  now += 1s;
  watched = now;
  BOOST_TEST((overdue() == keys{git}));
  read("1");
  BOOST_TEST(overdue().empty());
}

BOOST_AUTO_TEST_CASE(a_refusal_is_a_reason_to_look_once_as_the_watch_may_be_dead) {
  watched = now;
  read("1");
  refuse("1");
  BOOST_TEST(subject.stale(10).empty()); // it was just read
  now += young;
  refuse("1");
  BOOST_TEST((subject.stale(10) == keys{git}));
  BOOST_TEST(!read("1"));
  now += young;
  refuse("1");
  BOOST_TEST(read("2"));
}

BOOST_AUTO_TEST_CASE(those_that_nobody_uses_are_nothing) {
  watched = now;
  const object_key unused{"team", "unused"};
  subject.changed(unused, "1");
  refuse("1", unused);
  BOOST_TEST(!read_as({true, true, "1"}, unused));
  BOOST_TEST(!subject.used(unused));
  BOOST_TEST(subject.stale(10).empty());
  BOOST_TEST(subject.refused() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_FIXTURE_TEST_CASE(the_last_user_takes_everything_along, book) {
  subject.use(git, "b");
  read("1");
  refuse("1");
  subject.changed(git, "2");
  BOOST_TEST(!subject.let_go(git, "a"));
  BOOST_TEST(!subject.let_go(git, "nobody"));
  BOOST_TEST(subject.used(git));
  BOOST_TEST(subject.let_go(git, "b"));
  BOOST_TEST(!subject.let_go(git, "b"));
  BOOST_TEST(!subject.used(git));
  BOOST_TEST(subject.stale(10).empty());
  BOOST_TEST(subject.refused() == 0U);
  BOOST_TEST(overdue().empty());
  BOOST_TEST(must_read());
  BOOST_TEST(subject.uses("team"));
  BOOST_TEST(subject.let_go(other, "a"));
  BOOST_TEST(!subject.uses("team"));
  BOOST_TEST(subject.uses("zoo"));
  BOOST_TEST(!subject.uses("zo"));
  BOOST_TEST(subject.let_go(far, "a"));
  BOOST_TEST(subject.empty());
}
