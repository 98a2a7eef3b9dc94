// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_failure
#include "tests/support/package_rev_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

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
