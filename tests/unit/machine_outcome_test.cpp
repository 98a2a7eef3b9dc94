// links: veranda_logic
#define BOOST_TEST_MODULE machine_outcome
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(failures)

BOOST_AUTO_TEST_CASE(delays_by_class) {
  struct row {
    ec code;
    std::chrono::seconds at_least, at_most;
    const char* reconciling_or_stalled;
  };
  const row rows[] = {
      {ec::unreachable, 5s, 10s, "Reconciling"},
      {ec::timed_out, 5s, 10s, "Reconciling"},
      {ec::unavailable, 5s, 10s, "Reconciling"},
      {ec::internal, 5s, 10s, "Reconciling"},
      {ec::throttled, 300s, 330s, "Reconciling"},
      {ec::dependency_missing, 300s, 330s, "Reconciling"},
      {ec::auth_rejected, 600s, 660s, "Stalled"},
      {ec::not_found, 60s, 66s, "Stalled"}, // as often as a health check
      {ec::too_large, 600s, 660s, "Stalled"},
      {ec::unsupported, 600s, 660s, "Stalled"},
      {ec::invalid_spec, 600s, 660s, "Stalled"},
  };
  auto settings = quiet();
  settings.default_frequency = 1h;
  settings.health_check_frequency = 1min;
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(to_string(r.code)) {
      driver d{settings};
      d.see(d.object());
      const auto fx = d.finish_failed(fails(r.code));
      BOOST_TEST(fx.publish);
      BOOST_TEST(fx.persist);
      BOOST_TEST(started(fx) == "-");
      const auto wait = *d.machine.next_due() - d.now;
      BOOST_TEST((wait >= r.at_least));
      BOOST_TEST((wait <= r.at_most));
      BOOST_TEST(d.machine.planned().cause == "retry");
      BOOST_TEST(driver::logged(fx, "next try: " + format_rfc3339(*d.machine.next_due())));
      BOOST_TEST(d.ready().reason == "Error");
      BOOST_TEST(d.ready().message.starts_with("it failed (" + std::string{to_string(r.code)} + "): "));
      BOOST_TEST(d.find(r.reconciling_or_stalled).status == "True");
      BOOST_TEST(d.machine.durable().last_error == "it failed");
      BOOST_TEST((d.machine.durable().last_error_code == r.code));
    }
  }
}

BOOST_AUTO_TEST_CASE(backoff_grows_to_its_limit_and_starts_over_after_a_success) {
  auto settings = quiet();
  settings.default_frequency = 24h;
  driver d{settings};
  d.see(d.object());
  std::chrono::milliseconds longest{0};
  for (int i = 0; i < 40; ++i) {
    d.finish_failed(fails(ec::unreachable));
    const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*d.machine.next_due() - d.now);
    BOOST_TEST((wait >= 5s));
    BOOST_TEST((wait <= 5min));
    longest = std::max(longest, wait);
    BOOST_TEST(started(d.see(d.time(*d.machine.next_due()))) == "retry");
  }
  BOOST_TEST((longest > 2min));
  d.finish_ok();
  d.see(d.trigger(sync_cause::user));
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST((*d.machine.next_due() - d.now <= 10s));
}

BOOST_AUTO_TEST_CASE(the_scheduled_time_holds_when_it_is_earlier) {
  driver d{quiet()};
  d.repo.spec.sync.schedule = "* * * * *";
  d.see(d.object());
  d.finish_failed(fails(ec::auth_rejected));
  BOOST_TEST((d.machine.next_due() == at(10, 1)));
  BOOST_TEST(started(d.time(at(10, 1))) == "cron");
}

BOOST_AUTO_TEST_CASE(retry_after_is_honoured_within_one_period) {
  for (const auto code : {ec::throttled, ec::unavailable}) {
    driver d{quiet()};
    d.repo.spec.sync.schedule = "@daily";
    d.see(d.object());
    auto f = fails(code);
    f.retry_after = 120s;
    d.finish_failed(f);
    BOOST_TEST((*d.machine.next_due() >= at(10, 2)));
    BOOST_TEST((*d.machine.next_due() <= at(10, 2, 12)));
    d.see(d.time(*d.machine.next_due()));
    f.retry_after = 240h;
    d.finish_failed(f);
    BOOST_TEST((*d.machine.next_due() - d.now <= 11min));
  }
}

BOOST_AUTO_TEST_CASE(a_race_is_redone_at_once_three_times) {
  driver d{quiet()};
  d.settle();
  d.see(d.annotate(api_names::sync_requested_annotation, "r1"));
  for (int i = 0; i < 3; ++i) {
    const auto fx = d.finish_failed(fails(ec::conflict));
    BOOST_REQUIRE(fx.start.has_value());
    BOOST_TEST(fx.start->fresh);
    BOOST_TEST(!fx.publish);
    BOOST_TEST(d.machine.durable().handled_request == "");
  }
  BOOST_TEST(started(d.finish_failed(fails(ec::conflict))) == "-");
  BOOST_TEST(d.ready().reason == "Error");
  BOOST_TEST(d.machine.durable().handled_request == "r1");
}

BOOST_AUTO_TEST_CASE(damage_is_redone_once) {
  driver d{quiet()};
  d.settle();
  d.see(d.trigger(sync_cause::user));
  BOOST_TEST(started(d.finish_failed(fails(ec::checksum_mismatch))) == "user");
  BOOST_TEST(started(d.finish_failed(fails(ec::checksum_mismatch))) == "-");
  BOOST_TEST(d.find("Stalled").reason == "ChecksumMismatch");
}

BOOST_AUTO_TEST_CASE(a_stop_changes_no_status_and_is_taken_up_again) {
  driver d{quiet()};
  d.settle();
  d.see(d.trigger(sync_cause::user, true));
  const auto fx = d.finish_failed(fails(ec::shutting_down));
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST(!fx.persist);
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(d.machine.durable().last_error == "");
  BOOST_TEST((*d.machine.next_due() - d.now >= 5s));
  const auto again = d.time(*d.machine.next_due());
  BOOST_TEST(started(again) == "user");
  BOOST_TEST(again.start->full);
}

BOOST_AUTO_TEST_CASE(a_full_queue_of_ours_is_no_error_of_the_repository) {
  driver d{quiet()};
  d.repo.spec.sync.run_once_at = at(10, 2);
  d.settle();
  d.see(d.time(at(10, 2)));
  d.finish_failed(fails(ec::overloaded));
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST((d.machine.durable().accepted_run_once == at(10, 2)));
  BOOST_TEST((*d.machine.next_due() > d.now));
  BOOST_TEST(started(d.time(*d.machine.next_due())) == "run_once");
}

BOOST_AUTO_TEST_CASE(an_error_text_is_the_same_for_every_retry) {
  driver d{quiet()};
  d.see(d.object());
  d.finish_failed(fails(ec::unreachable));
  const auto before = d.ready();
  d.see(d.time(*d.machine.next_due()));
  BOOST_TEST(d.ready().reason == "Error"); // a retry is not shown before it finds something
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST((d.ready() == before));
}

BOOST_AUTO_TEST_CASE(an_empty_text_is_an_unknown_error) {
  driver d;
  d.see(d.object());
  d.finish_failed(fails(ec::internal, ""));
  BOOST_TEST(d.ready().message.starts_with("unknown error (internal)"));
}

BOOST_AUTO_TEST_CASE(what_to_do_is_said_once_and_names_the_secret) {
  struct row {
    failure why;
    const char* secret;
    const char* message;
  };
  const row rows[] = {
      {{ec::auth_rejected, "h: rejected", {}, "spec.git.secretRef", {}}, "robot", "spec.git.secretRef: h: rejected (auth_rejected): check Secret robot and what its user may read"},
      {{ec::auth_rejected, "h: credentials are needed", {}, {}, {}}, "",
       "h: credentials are needed (auth_rejected): the object names no Secret, and private remotes need one (spec.git.secretRef)"},
      {{ec::auth_rejected, "h: in plain text; use https", {}, "spec.git.secretRef", {}}, "robot", "spec.git.secretRef: h: in plain text; use https (auth_rejected)"},
      {{ec::auth_rejected, "must not be empty", "Secret team/robot", "data.password", {}}, "robot",
       "Secret team/robot: data.password: must not be empty (auth_rejected): check its type and keys"},
      {{ec::unreachable, "h: its certificate cannot be verified; put it there", {}, {}, {}}, "", "h: its certificate cannot be verified; put it there (unreachable)"},
  };
  for (const auto& r : rows) {
    driver d;
    d.repo.spec.git->secret_ref = r.secret;
    d.see(d.object());
    d.finish_failed(r.why);
    BOOST_TEST(d.ready().message == r.message);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(conditions)

BOOST_AUTO_TEST_CASE(transition_times_move_only_with_the_status) {
  driver d{quiet()};
  d.settle();
  const auto ready_since = d.ready().last_transition;
  BOOST_TEST((ready_since == at(10, 0)));
  d.see(d.time(at(10, 10)));
  d.finish_unchanged();
  BOOST_TEST((d.ready().last_transition == ready_since));
  d.see(d.time(at(10, 20)));
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST((d.ready().last_transition == at(10, 20)));
  d.see(d.later(10s));
  d.finish_failed(fails(ec::timed_out));
  BOOST_TEST((d.ready().last_transition == at(10, 20)));
}

BOOST_AUTO_TEST_CASE(transition_times_survive_a_restart) {
  driver before{quiet()};
  before.settle();
  const auto published = before.machine.status(before.now);
  driver d{quiet(), before.machine.durable(), at(11, 0)};
  d.machine.restore_status(published);
  d.see(d.object());
  BOOST_TEST((d.ready().last_transition == at(10, 0)));
  BOOST_TEST(d.machine.status(d.now).observed_generation == 1);
}

/// A restart writes nothing that the API server has already: the sync that it begins will say more.
BOOST_AUTO_TEST_CASE(a_restart_tells_nothing_twice) {
  driver before{quiet()};
  before.settle();
  const auto published = before.machine.status(before.now);
  const auto restart = [&](const std::function<void(repository_status&, repository_object&)>& change) {
    driver d{quiet(), before.machine.durable(), at(11, 0)};
    auto status = published;
    change(status, d.repo);
    d.machine.restore_status(status);
    d.see(d.object());
    return d;
  };
  auto same = restart([](auto& status, auto&) { status.conditions.push_back({.type = "Audited", .status = "True", .reason = "Checked", .message = "", .last_transition = {}, .observed_generation = 0}); });
  BOOST_TEST(same.last.publish);
  BOOST_TEST(same.last.told);
  BOOST_TEST(!same.later(1s).publish);
  same.finish_unchanged();
  BOOST_TEST(same.last.publish);
  BOOST_TEST(!same.last.told);
  auto waiting = restart([](auto&, auto&) {});
  waiting.finish_failed(fails(ec::overloaded)); // ends the sync and says nothing of it
  BOOST_TEST(waiting.last.publish);
  BOOST_TEST(!waiting.last.told);
  auto conflict = restart([](auto&, auto&) {});
  BOOST_TEST(!conflict.machine.set_conflicts({"a/x"}, conflict.now).told);
  BOOST_TEST(!restart([](auto& status, auto&) { status = {}; }).last.told);
  BOOST_TEST(!restart([](auto& status, auto&) { status.conditions.front().status = "False"; }).last.told);
  BOOST_TEST(!restart([](auto& status, auto&) { status.conditions.front().reason = "Other"; }).last.told);
  BOOST_TEST(!restart([](auto& status, auto&) { status.conditions.push_back({.type = "Stalled", .status = "True", .reason = "X", .message = "", .last_transition = {}, .observed_generation = 1}); }).last.told);
  BOOST_TEST(!restart([](auto&, auto& object) { object.meta.generation = 2; }).last.told);
  BOOST_TEST(!restart([](auto&, auto& object) { object.meta.annotations[std::string{api_names::suspend_annotation}] = "true"; }).last.told);
}

BOOST_AUTO_TEST_CASE(bad_items_are_counted_and_the_first_named) {
  driver d{quiet()};
  d.see(d.object());
  sync_outcome o;
  for (int i = 0; i < 30; ++i) o.bad.push_back({"refs/tags/p" + std::to_string(i) + "/v0", "not a revision.", true});
  o.stats.bad = 30;
  o.stats.revisions = 5;
  d.finish(o);
  const auto c = d.find("PackagesDegraded");
  BOOST_TEST(c.status == "True");
  BOOST_TEST(c.message == "30 items are not, or not wholly, in the cache: refs/tags/p0/v0: not a revision (left out); refs/tags/p1/v0: not a revision "
                          "(left out); refs/tags/p2/v0: not a revision (left out); and 27 more");
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(d.machine.durable().bad.size() == 10U);
  BOOST_TEST(d.machine.durable().bad_count == 30U);
  d.see(d.trigger(sync_cause::user));
  d.finish_ok();
  BOOST_TEST(d.find("PackagesDegraded").type == "");
}

BOOST_AUTO_TEST_CASE(conflicts_are_reported_and_block_nothing) {
  driver d{quiet()};
  d.settle();
  BOOST_TEST(d.machine.set_conflicts({"b/y", "a/x"}, d.now).publish);
  BOOST_TEST(d.find("RepositoryConflict").message == "Repository conflict with existing repository: a/x, b/y");
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(!d.machine.set_conflicts({"a/x", "b/y"}, d.now).publish);
  BOOST_TEST(started(d.time(at(10, 10))) == "periodic");
  BOOST_TEST(d.machine.set_conflicts({}, d.now).publish);
}

BOOST_AUTO_TEST_CASE(messages_are_bounded_and_one_line) {
  driver d;
  d.see(d.object());
  std::string text = "line\n\x1b[31m";
  for (int i = 0; i < 4000; ++i) text += "\xc3\xa4";
  d.finish_failed(fails(ec::unavailable, text));
  const auto m = d.ready().message;
  BOOST_TEST(m.size() <= 4096U);
  BOOST_TEST(m.starts_with("line  [31m"));
  BOOST_TEST(m.ends_with("\xc3\xa4..."));
}

BOOST_AUTO_TEST_CASE(the_last_twenty_runs_are_kept) {
  driver d{quiet()};
  d.settle();
  for (int i = 0; i < 30; ++i) {
    d.see(d.trigger(sync_cause::user));
    d.now += 2s;
    d.finish_ok();
  }
  const auto runs = d.machine.durable().runs;
  BOOST_REQUIRE(runs.size() == 20U);
  BOOST_TEST((runs.back().duration == 2s));
  BOOST_TEST((runs.back().cause == sync_cause::user));
}

BOOST_AUTO_TEST_CASE(what_is_stored_with_a_delta_is_what_is_then_true) {
  driver d{quiet()};
  d.repo.spec.sync.run_once_at = at(10, 5);
  d.settle();
  d.see(d.annotate(api_names::sync_requested_annotation, "r9"));
  d.now = at(10, 6);
  sync_outcome o;
  o.sync_id = d.running;
  o.basis = {"new", "tip"};
  o.stats.revisions = 11;
  const auto stored = d.machine.durable_after(o, d.now);
  d.finish(o);
  BOOST_TEST((stored == d.machine.durable()));
  BOOST_TEST(stored.handled_request == "r9");
  BOOST_TEST(stored.revisions == 11U);
}

BOOST_AUTO_TEST_SUITE_END()
