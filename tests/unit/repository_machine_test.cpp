// links: veranda_logic
#define BOOST_TEST_MODULE repository_machine
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(first_sync)

BOOST_AUTO_TEST_CASE(first_object_starts_one_sync_and_shows_it) {
  driver d;
  const auto fx = d.see(d.object());
  BOOST_TEST(started(fx) == "start");
  BOOST_TEST(fx.publish);
  BOOST_TEST(d.machine.syncing());
  BOOST_TEST(!d.machine.dirty());
  BOOST_TEST(d.ready().status == "False");
  BOOST_TEST(d.ready().reason == "Reconciling");
  BOOST_TEST(d.ready().message == "Repository reconciliation in progress");
  BOOST_TEST(d.machine.planned().cause == "syncing");
  BOOST_TEST(!d.machine.next_due().has_value());
  BOOST_TEST(started(d.object()) == "-");
}

BOOST_AUTO_TEST_CASE(ready_names_the_next_time) {
  driver d;
  d.see(d.object());
  d.now = at(10, 0, 20);
  const auto fx = d.finish_ok();
  BOOST_TEST(fx.publish);
  BOOST_TEST(!fx.persist); // stored with the delta
  BOOST_TEST(driver::logged(fx, "next scheduled time: 2026-03-10T10:10:20Z"));
  const auto s = d.machine.status(d.now);
  BOOST_TEST(s.conditions.at(0).status == "True");
  BOOST_TEST(s.conditions.at(0).reason == "Ready");
  BOOST_TEST(s.conditions.at(0).message == "Repository Ready (next sync scheduled at: 2026-03-10T10:10:20Z)");
  BOOST_TEST(s.conditions.size() == 1U);
  BOOST_TEST(s.package_count == 3);
  BOOST_TEST(s.observed_generation == 1);
  BOOST_TEST(s.next_sync_cause == "periodic");
  BOOST_TEST((s.next_full_sync == at(10, 10, 20)));
  BOOST_TEST((s.last_full_sync == at(10, 0, 20)));
}

BOOST_AUTO_TEST_CASE(restored_state_is_shown_until_the_first_sync_ends) {
  durable_state old;
  old.basis = {"b", "c"};
  old.last_success = at(9, 0);
  old.next_sync = at(9, 10);
  old.revisions = 7;
  driver d{{}, old};
  const auto fx = d.see(d.object());
  BOOST_TEST(started(fx) == "catch_up");
  BOOST_TEST((fx.start->due == at(9, 10)));
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(d.machine.status(d.now).package_count == 7);
  const auto end = d.finish_unchanged();
  BOOST_TEST(end.persist);
  BOOST_TEST(d.machine.durable().basis.digest == "b");
  BOOST_TEST(d.machine.durable().revisions == 7U);
}

BOOST_AUTO_TEST_CASE(restored_error_is_shown) {
  durable_state old;
  old.last_success = at(9, 0);
  old.next_sync = at(11, 0);
  old.last_error = "git.example: it refused";
  old.last_error_code = ec::auth_rejected;
  driver d{{}, old};
  BOOST_TEST(started(d.see(d.object())) == "start");
  BOOST_TEST(d.ready().reason == "Error");
  BOOST_TEST(d.ready().message.starts_with("git.example: it refused (auth_rejected): the object names no Secret"));
}

BOOST_AUTO_TEST_CASE(nothing_found_is_said) {
  driver d;
  d.repo.spec.git->directory = "catalog";
  d.see(d.object());
  d.finish_ok(0);
  BOOST_TEST(d.ready().message ==
             "Repository Ready (next sync scheduled at: 2026-03-10T10:10:00Z); no packages found under \"catalog\" on branch main");
}

BOOST_AUTO_TEST_CASE(a_note_of_the_sync_is_said_and_survives_unchanged_syncs) {
  driver d{quiet()};
  d.see(d.object());
  sync_outcome o;
  o.note = "branch main is empty";
  d.finish(o);
  BOOST_TEST(d.ready().message.ends_with("; branch main is empty"));
  d.see(d.time(at(10, 10)));
  d.finish_unchanged();
  BOOST_TEST(d.ready().message == "Repository Ready (next sync scheduled at: 2026-03-10T10:20:00Z); branch main is empty");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(triggers)

BOOST_AUTO_TEST_CASE(spec_changes) {
  struct row {
    const char* what;
    void (*change)(repository_spec&);
    bool syncs;
  };
  const row rows[] = {
      {"url", [](repository_spec& s) { s.git->repo = "https://other.example/x"; }, true},
      {"branch", [](repository_spec& s) { s.git->branch = "dev"; }, true},
      {"directory", [](repository_spec& s) { s.git->directory = "sub"; }, true},
      {"secret", [](repository_spec& s) { s.git->secret_ref = "login"; }, true},
      {"deployment", [](repository_spec& s) { s.deployment = true; }, true},
      {"createBranch", [](repository_spec& s) { s.git->create_branch = true; }, true},
      {"description", [](repository_spec& s) { s.description = "text"; }, false},
      {"author", [](repository_spec& s) { s.git->author = "me"; }, false},
      {"schedule", [](repository_spec& s) { s.sync.schedule = "@daily"; }, false},
  };
  for (const auto& r : rows) {
    BOOST_TEST_CONTEXT(r.what) {
      driver d{quiet()};
      d.settle();
      BOOST_TEST(started(d.see(d.change(r.change))) == (r.syncs ? "spec_changed" : "-"));
      BOOST_TEST(d.machine.status(d.now).observed_generation == (r.syncs ? 1 : 2));
      if (r.syncs) {
        d.finish_ok();
        BOOST_TEST(d.machine.status(d.now).observed_generation == 2);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_spec_change_cancels_the_running_sync_and_inherits_its_duties) {
  driver d{quiet()};
  d.settle();
  d.see(d.annotate(api_names::sync_requested_annotation, "r1"));
  auto fx = d.change([](repository_spec& s) { s.git->branch = "dev"; });
  BOOST_TEST(fx.cancel_running);
  BOOST_TEST(started(fx) == "-");
  BOOST_TEST(d.machine.dirty());
  fx = d.finish_failed(fails(ec::cancelled));
  BOOST_REQUIRE(fx.start.has_value());
  BOOST_TEST(started(fx) == "user"); // the request is still unanswered
  BOOST_TEST(fx.start->fresh);
  BOOST_TEST(d.machine.status(d.now).handled_request == "");
  d.finish_ok();
  BOOST_TEST(d.machine.status(d.now).handled_request == "r1");
  BOOST_TEST(d.machine.status(d.now).observed_generation == 2);
}

BOOST_AUTO_TEST_CASE(a_request_by_annotation_is_handled_once) {
  driver d{quiet()};
  d.settle();
  d.repo.meta.annotations[std::string{api_names::sync_mode_annotation}] = "full";
  auto fx = d.see(d.annotate(api_names::sync_requested_annotation, "2026-03-10T10:00:00Z"));
  BOOST_TEST(started(fx) == "user");
  BOOST_TEST(fx.start->full);
  BOOST_TEST(fx.start->fresh);
  BOOST_TEST(started(d.object()) == "-");
  fx = d.finish_unchanged();
  BOOST_TEST(fx.persist);
  BOOST_TEST(d.machine.durable().handled_request == "2026-03-10T10:00:00Z");
  BOOST_TEST(started(d.object()) == "-");
}

BOOST_AUTO_TEST_CASE(a_request_during_a_sync_belongs_to_the_next_one) {
  driver d{quiet()};
  d.settle();
  d.see(d.annotate(api_names::sync_requested_annotation, "r1"));
  d.annotate(api_names::sync_requested_annotation, "r2");
  BOOST_TEST(d.machine.dirty());
  auto fx = d.finish_unchanged();
  BOOST_TEST(d.machine.durable().handled_request == "r1");
  BOOST_TEST(started(fx) == "user");
  fx = d.finish_unchanged();
  BOOST_TEST(d.machine.durable().handled_request == "r2");
  BOOST_TEST(started(fx) == "-");
}

BOOST_AUTO_TEST_CASE(a_failed_request_is_handled_too_and_its_retry_stays_full) {
  driver d{quiet()};
  d.settle();
  d.repo.meta.annotations[std::string{api_names::sync_mode_annotation}] = "full";
  d.see(d.annotate(api_names::sync_requested_annotation, "r1"));
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST(d.machine.durable().handled_request == "r1");
  const auto fx = d.time(*d.machine.next_due());
  BOOST_TEST(started(fx) == "retry");
  BOOST_TEST(fx.start->full);
}

BOOST_AUTO_TEST_CASE(the_strongest_of_the_triggers_during_a_sync_is_kept) {
  driver d{quiet()};
  d.see(d.object());
  d.trigger(sync_cause::secret_changed);
  d.trigger(sync_cause::user, true);
  d.trigger(sync_cause::retry);
  BOOST_TEST(d.machine.dirty());
  const auto fx = d.finish_ok();
  BOOST_TEST(started(fx) == "user");
  BOOST_TEST(fx.start->full);
  BOOST_TEST(fx.start->fresh);
  BOOST_TEST(!d.machine.dirty());
  BOOST_TEST(started(d.finish_unchanged()) == "-");
}

BOOST_AUTO_TEST_CASE(a_handled_request_is_not_repeated_after_a_restart) {
  durable_state old;
  old.handled_request = "r1";
  driver d{quiet(), old};
  const auto fx = d.see(d.annotate(api_names::sync_requested_annotation, "r1"));
  BOOST_TEST(started(fx) == "start");
}

BOOST_AUTO_TEST_CASE(an_outcome_of_another_sync_is_ignored) {
  driver d{quiet()};
  d.see(d.object());
  sync_outcome o;
  o.sync_id = "somebody-else";
  d.machine.on_finished(o, d.now);
  BOOST_TEST(d.machine.syncing());
}

BOOST_AUTO_TEST_CASE(sync_ids_differ_between_syncs_and_fences) {
  driver d{quiet()};
  d.machine.set_fence(4);
  d.settle();
  const auto first = d.machine.durable().runs.back().sync_id;
  BOOST_TEST(first == "0f1e2d3c-4-1");
  d.see(d.trigger(sync_cause::user));
  BOOST_TEST(d.running == "0f1e2d3c-4-2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(not_allowed)

BOOST_AUTO_TEST_CASE(suspension_cancels_and_remembers) {
  driver d{quiet()};
  d.settle();
  d.see(d.trigger(sync_cause::user));
  BOOST_TEST(d.annotate(api_names::suspend_annotation, "true").cancel_running);
  BOOST_TEST(started(d.finish_failed(fails(ec::cancelled))) == "-");
  BOOST_TEST(d.machine.planned().cause == "suspended");
  BOOST_TEST(!d.machine.next_due().has_value());
  BOOST_TEST(d.ready().message == "Repository Ready; suspended by annotation veranda.dev/suspend");
  BOOST_TEST(started(d.time(at(12, 0))) == "-");
  const auto fx = d.annotate(api_names::suspend_annotation, "");
  BOOST_TEST(started(fx) == "user"); // what was asked for before
}

BOOST_AUTO_TEST_CASE(suspended_from_the_start) {
  driver d{quiet()};
  BOOST_TEST(started(d.annotate(api_names::suspend_annotation, "true")) == "-");
  BOOST_TEST(d.ready().reason == "Suspended");
  BOOST_TEST(started(d.see(d.annotate(api_names::suspend_annotation, ""))) == "start");
}

BOOST_AUTO_TEST_CASE(resuming_gives_one_sync) {
  driver d{quiet()};
  d.settle();
  d.annotate(api_names::suspend_annotation, "true");
  d.now = at(10, 1);
  BOOST_TEST(started(d.see(d.annotate(api_names::suspend_annotation, ""))) == "catch_up");
  BOOST_TEST(started(d.finish_unchanged()) == "-");
}

BOOST_AUTO_TEST_CASE(an_invalid_object_names_every_problem_and_keeps_the_old_data) {
  driver d{quiet()};
  d.settle();
  d.repo.problems = {{"spec.git.branch", "a b", "must be a valid git branch name"}, {"spec.foo", "1", "unknown field"}};
  BOOST_TEST(started(d.object()) == "-");
  const auto c = d.ready();
  BOOST_TEST(c.reason == "Error");
  BOOST_TEST(c.message.find(describe(d.repo.problems[0])) != std::string::npos);
  BOOST_TEST(c.message.find(describe(d.repo.problems[1])) != std::string::npos);
  BOOST_TEST(c.message.find("invalid_spec") != std::string::npos);
  BOOST_TEST(d.find("Stalled").reason == "InvalidSpec");
  BOOST_TEST(d.machine.planned().cause == "invalid");
  BOOST_TEST(d.machine.status(d.now).package_count == 3);
  BOOST_TEST(started(d.time(at(13, 0))) == "-");
  d.repo.problems.clear();
  BOOST_TEST(started(d.see(d.object())) == "catch_up");
}

BOOST_AUTO_TEST_CASE(oci_is_not_supported_yet) {
  driver d;
  d.repo.spec.type = repository_type::oci;
  d.repo.spec.git.reset();
  BOOST_TEST(started(d.object()) == "-");
  BOOST_TEST(d.ready().message.find("OCI repositories are not supported yet (unsupported)") != std::string::npos);
  BOOST_TEST(d.find("Stalled").reason == "Unsupported");
}

BOOST_AUTO_TEST_CASE(a_type_that_changes_takes_effect_at_once) {
  driver d{quiet()};
  d.settle();
  const auto git = *d.repo.spec.git;
  BOOST_TEST(started(d.see(d.change([](repository_spec& s) {
    s.type = repository_type::oci;
    s.git.reset();
  }))) == "-");
  BOOST_TEST(d.find("Stalled").reason == "Unsupported");
  BOOST_TEST(!d.machine.next_due().has_value());
  BOOST_TEST(started(d.see(d.change([&](repository_spec& s) {
    s.type = repository_type::git;
    s.git = git;
  }))) == "catch_up");
}

BOOST_AUTO_TEST_CASE(an_object_being_deleted_is_not_synced) {
  driver d{quiet()};
  d.see(d.object());
  d.repo.meta.deleted = d.now;
  BOOST_TEST(d.object().cancel_running);
  BOOST_TEST(started(d.finish_failed(fails(ec::cancelled))) == "-");
  BOOST_TEST(!d.machine.next_due().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
