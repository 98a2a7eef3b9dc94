// links: veranda_logic
#define BOOST_TEST_MODULE explanation
#include "actors/logic/explanation.hpp"
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

const std::string idle = "idle", listing = "listing", working = "working", nowhere;

explanation told(driver& d, const std::string& phase = idle, const std::string& place = nowhere) {
  const auto plan = d.machine.plan(d.now, 5);
  const auto durable = d.machine.durable();
  const auto status = d.machine.status(d.now);
  return explain({plan, durable, status, phase, place}, d.now);
}

/// `cron 10:15 health 10:01`.
std::string plans(const explanation& e) {
  std::string out;
  for (const auto& next : e.planned)
    out += (out.empty() ? "" : " ") + next.cause + " " + format_rfc3339(*next.at).substr(11, 8);
  return out;
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_state)

BOOST_AUTO_TEST_CASE(of_one_that_was_not_seen_yet_is_what_it_waits_for) {
  driver d;
  BOOST_TEST(told(d, "holding").state == "starting");
  BOOST_TEST(told(d, "holding").why == "its finalizer is being set; the first sync follows");
  BOOST_TEST(told(d, "claiming").why == "its rows in the cache are being claimed; the first sync follows");
  BOOST_TEST(told(d, "waiting for the store").why == "its rows in the cache could not be claimed yet; that is tried again and again");
  BOOST_TEST(told(d, "holding").next_why == "not planned yet");
}

BOOST_AUTO_TEST_CASE(of_a_running_sync_names_cause_age_and_phase) {
  driver d;
  d.track(d.object());
  d.now += 90s;
  BOOST_TEST(told(d, listing).state == "syncing");
  BOOST_TEST(told(d, listing).why == "a sync (start) began 90s ago and asks the remote for its refs");
  BOOST_TEST(told(d, working).why == "a sync (start) began 90s ago and is fetched, looked through and stored by a worker, or waits for one");
  BOOST_TEST(told(d, "applying").why == "a sync (start) began 90s ago and is written to the cache");
  BOOST_TEST(told(d, listing).next_why == "planned when the sync that runs has ended");
  BOOST_TEST(told(d, listing).planned.empty());
  d.trigger(sync_cause::user, true);
  BOOST_TEST(told(d, listing).why == "a sync (start) began 90s ago and asks the remote for its refs; another one follows it at once");
}

BOOST_AUTO_TEST_CASE(of_one_that_waits_is_its_place_in_the_queue) {
  driver d;
  d.track(d.object());
  d.now += 5s;
  const auto e = told(d, working, "number 3 of 12 that wait for a worker: all workers are busy");
  BOOST_TEST(e.state == "queued");
  BOOST_TEST(e.why == "its sync (start) waits for 5s: number 3 of 12 that wait for a worker: all workers are busy");
}

BOOST_AUTO_TEST_CASE(of_one_in_step_names_the_last_success_and_what_comes_next) {
  driver d;
  d.repo.spec.sync.schedule = "*/15 * * * *";
  d.repo.spec.sync.run_once_at = at(10, 40);
  d.settle();
  const auto e = told(d);
  BOOST_TEST(e.state == "ready");
  BOOST_TEST(e.why == "the cache holds what the remote held at 2026-03-10T10:00:00Z");
  BOOST_TEST(plans(e) == "health 10:01:00 cron 10:15:00 runOnceAt 10:40:00");
  BOOST_TEST(e.next_why == "the remote's refs are listed; a sync follows when they moved, at the next time of the schedule");
  BOOST_TEST(e.advice == "");
  BOOST_TEST(e.notes.empty());
}

BOOST_AUTO_TEST_CASE(after_a_failure_says_when_it_is_tried_again_and_what_to_do) {
  driver d{quiet()};
  d.settle();
  d.see(d.time(at(10, 10)));
  d.finish_failed(fails(ec::unreachable, "no route to host"));
  auto e = told(d);
  BOOST_TEST(e.state == "retrying");
  BOOST_TEST(e.why == "the last sync failed");
  BOOST_TEST(e.planned.at(0).cause == "retry");
  BOOST_TEST(e.planned.at(1).cause == "periodic");
  BOOST_TEST(e.next_why == "a retry after the last error (unreachable)");
  BOOST_TEST(e.advice != "");
  d.see(d.time(*d.machine.next_due()));
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST(told(d).why == "2 syncs in a row failed");
  d.see(d.time(*d.machine.next_due()));
  d.finish_failed(fails(ec::auth_rejected));
  e = told(d);
  BOOST_TEST(e.state == "stalled");
  BOOST_TEST(e.why == "the last sync failed, and only a change of the object, its Secret or its remote can help");
}

BOOST_AUTO_TEST_CASE(of_one_that_may_not_run_names_what_holds_it) {
  driver d;
  d.settle();
  d.annotate(api_names::suspend_annotation, "true");
  auto e = told(d);
  BOOST_TEST(e.state == "suspended");
  BOOST_TEST(e.why == "annotation veranda.dev/suspend is \"true\"");
  BOOST_TEST(e.planned.empty());
  BOOST_TEST(e.next_why == "none until it is resumed (veranda resume); what is asked for meanwhile is remembered");
  d.repo.problems.push_back({"spec.git.branch", "a b", "must be a valid git branch name"});
  d.object();
  e = told(d);
  BOOST_TEST(e.state == "invalid");
  BOOST_TEST(e.why.find("spec.git.branch") != std::string::npos, e.why);
  BOOST_TEST(e.next_why == "none until the object is corrected");
  BOOST_TEST(e.advice != "");
  d.repo.meta.deleted = d.now;
  d.object();
  BOOST_TEST(told(d).state == "deleted");
}

BOOST_AUTO_TEST_CASE(names_conditions_that_are_out_of_the_ordinary) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "61 * * * *";
  d.settle();
  d.machine.set_conflicts({"team-a/other"}, d.now);
  const auto e = told(d);
  BOOST_REQUIRE(e.notes.size() == 2U);
  BOOST_TEST(e.notes[0].starts_with("ScheduleInvalid: "));
  BOOST_TEST(e.notes[1].starts_with("RepositoryConflict: "));
  BOOST_TEST(plans(e) == "periodic 10:10:00");
  BOOST_TEST(e.next_why.starts_with("every 10m0s (repo-sync-frequency), because the cron expression "), e.next_why);
}

BOOST_AUTO_TEST_SUITE_END()
