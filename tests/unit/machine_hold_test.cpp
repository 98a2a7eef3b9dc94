// links: veranda_logic
#define BOOST_TEST_MODULE machine_hold
#include "tests/support/lost_revisions.hpp"
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

/// A machine with 25 revisions, of which syncs find so many.
struct repository : driver {
  explicit repository(machine_settings s = quiet()) : driver{s} {
    see(object());
    ends(25, 0, here);
  }
  repository(const durable_state& restored, wall_time start) : driver{quiet(), restored, start}, cached(restored.revisions) {}

  /// The running sync finds that of `of` cached revisions `lost` are gone; carried out unless held.
  effects ends(std::size_t of, std::size_t lost, const sync_basis& basis) {
    const auto delta = losing(of, lost, 0, basis);
    sync_outcome o;
    o.sync_id = running;
    o.basis = basis;
    o.hold = machine.judge(delta, "", now);
    cached = o.hold ? of : of - lost;
    o.stats.revisions = cached;
    return finish(o);
  }
  /// The next planned sync, which finds so many gone.
  effects sync(std::size_t lost, const sync_basis& basis = moved) {
    see(time(*machine.next_due()));
    return ends(cached, lost, basis);
  }
  std::string permit() { return machine.status(now).deletion_permit; }
  effects allow(const std::string& value) { return see(annotate(api_names::allow_deletion_annotation, value)); }

  std::size_t cached = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(shows_what_is_held_and_what_to_do) {
  repository d;
  d.sync(20);
  BOOST_TEST(d.cached == 25U);
  BOOST_TEST(d.ready().status == "True");
  BOOST_TEST(d.ready().message.ends_with("; 20 package revisions that the remote no longer has are kept: see condition DeletionHeld"));
  const auto held = d.find("DeletionHeld");
  BOOST_TEST(held.status == "True");
  BOOST_TEST(held.reason == "TooManyRemovals");
  BOOST_TEST(held.message ==
             "20 of 25 package revisions are gone from the remote and are kept, as more than 50% would go at once: since the last sync branch \"main\" moved from 11111111 to "
             "22222222. Put them back; or, when they are meant to go: veranda sync blueprints -n team-a --allow-deletion (in a cluster: kubectl annotate repository blueprints "
             "-n team-a --overwrite veranda.dev/allow-deletion=" +
                 d.permit() + ")");
  BOOST_TEST((held.last_transition == d.now));
}

BOOST_AUTO_TEST_CASE(goes_on_with_listings_that_change_nothing) {
  repository d;
  d.sync(20);
  const auto before = d.machine.durable();
  const auto fx = d.see(d.time(*d.machine.next_due()));
  BOOST_REQUIRE(fx.start);
  BOOST_TEST(!fx.start->recheck);
  BOOST_TEST(fx.start->permit.empty());
  d.finish_unchanged();
  BOOST_TEST((d.machine.durable().hold == before.hold));
}

BOOST_AUTO_TEST_CASE(carries_them_out_at_once_when_they_are_allowed) {
  repository d;
  d.sync(20);
  const auto permit = d.permit();
  BOOST_TEST(started(d.allow("20")) == "-");
  const auto fx = d.allow(permit);
  BOOST_TEST(started(fx) == "user");
  BOOST_TEST(fx.start->permit == permit);
  BOOST_TEST(fx.start->recheck);
  BOOST_TEST(fx.start->fresh);
  BOOST_TEST(!fx.start->full);
  d.ends(25, 20, moved);
  BOOST_TEST(d.cached == 5U);
  BOOST_TEST(d.find("DeletionHeld").type == "");
  BOOST_TEST(d.permit() == "");
  BOOST_TEST(started(d.see(d.object())) == "-"); // the annotation stays, and means nothing
}

BOOST_AUTO_TEST_CASE(an_old_permit_allows_no_later_disaster) {
  repository d;
  d.sync(20);
  d.allow(d.permit());
  d.ends(25, 20, moved);
  d.sync(0, here);
  d.cached = 25; // they came back
  d.sync(20);
  BOOST_TEST(d.cached == 25U);
  BOOST_TEST(!d.permit().empty());
  BOOST_TEST(started(d.see(d.object())) == "-");
}

BOOST_AUTO_TEST_CASE(a_permit_is_for_what_was_shown) {
  repository d;
  d.sync(20);
  const auto permit = d.permit();
  d.allow(permit);
  d.ends(25, 21, moved); // one more went meanwhile
  BOOST_TEST(d.cached == 25U);
  BOOST_TEST(d.permit().starts_with("21-"));
  BOOST_TEST(!d.machine.syncing());
}

BOOST_AUTO_TEST_CASE(a_permitted_sync_that_fails_is_permitted_again) {
  repository d;
  d.sync(20);
  const auto permit = d.permit();
  d.allow(permit);
  d.finish_failed(fails(ec::unreachable));
  BOOST_TEST(d.find("DeletionHeld").status == "True");
  const auto fx = d.see(d.time(*d.machine.next_due()));
  BOOST_TEST(started(fx) == "retry");
  BOOST_TEST(fx.start->permit == permit);
}

BOOST_AUTO_TEST_CASE(a_permit_given_while_suspended_waits) {
  repository d;
  d.sync(20);
  const auto permit = d.permit();
  d.see(d.annotate(api_names::suspend_annotation, "true"));
  BOOST_TEST(started(d.allow(permit)) == "-");
  BOOST_TEST(d.find("DeletionHeld").status == "True");
  const auto fx = d.see(d.annotate(api_names::suspend_annotation, ""));
  BOOST_REQUIRE(fx.start);
  BOOST_TEST(fx.start->permit == permit);
}

BOOST_AUTO_TEST_CASE(survives_a_restart_with_its_permit) {
  durable_state kept;
  std::string permit;
  {
    repository d;
    d.sync(20);
    kept = d.machine.durable();
    permit = d.permit();
  }
  repository d{kept, at(12, 0)};
  const auto first = d.see(d.object());
  BOOST_TEST(d.permit() == permit);
  BOOST_REQUIRE(first.start);
  BOOST_TEST(first.start->recheck); // the settings may be others now
  BOOST_TEST(first.start->permit.empty());
  d.ends(25, 20, moved);
  BOOST_TEST(d.permit() == permit);
  d.see(d.time(*d.machine.next_due()));
  BOOST_TEST(!d.last.start->recheck);
}

BOOST_AUTO_TEST_CASE(a_restart_between_permit_and_removal_carries_it_out) {
  durable_state kept;
  std::string permit;
  {
    repository d;
    d.sync(20);
    permit = d.permit();
    kept = d.machine.durable();
  }
  repository d{kept, at(12, 0)};
  d.repo.meta.annotations[std::string{api_names::allow_deletion_annotation}] = permit;
  const auto first = d.see(d.object());
  BOOST_REQUIRE(first.start);
  BOOST_TEST(first.start->permit == permit);
  d.ends(25, 20, moved);
  BOOST_TEST(d.cached == 5U);
}

BOOST_AUTO_TEST_CASE(another_directory_is_the_users_will_even_while_one_is_held) {
  repository d;
  d.sync(20);
  d.see(d.change([](repository_spec& s) { s.git->directory = "elsewhere"; }));
  auto there = moved;
  there.source = "there";
  d.ends(25, 25, there);
  BOOST_TEST(d.cached == 0U);
  BOOST_TEST(d.permit() == "");
}

BOOST_AUTO_TEST_CASE(flapping_between_two_states_removes_nothing) {
  repository d;
  for (int round = 0; round < 5; ++round) {
    d.sync(20);
    BOOST_TEST(d.permit().starts_with("20-"));
    d.sync(0, here);
    BOOST_TEST(d.permit() == "");
    BOOST_TEST(d.cached == 25U);
  }
}

BOOST_AUTO_TEST_CASE(agreeing_listings_release_when_so_configured) {
  auto s = quiet();
  s.release_deletions_after = 1h;
  repository d{s};
  d.sync(20); // at 10:10
  const auto permit = d.permit();
  BOOST_TEST(d.find("DeletionHeld").message.ends_with("If they stay away they go by themselves after 2026-03-10T11:10:00Z"));
  while (d.now < at(11, 0)) {
    d.see(d.time(*d.machine.next_due()));
    BOOST_TEST(d.last.start->permit.empty());
    d.finish_unchanged();
  }
  const auto fx = d.see(d.time(*d.machine.next_due()));
  BOOST_REQUIRE(fx.start);
  BOOST_TEST(fx.start->permit == permit);
  d.ends(25, 20, moved);
  BOOST_TEST(d.cached == 5U);
}

BOOST_AUTO_TEST_CASE(a_listing_that_disagrees_begins_the_wait_anew) {
  auto s = quiet();
  s.release_deletions_after = 1h;
  repository d{s};
  d.sync(20);
  auto other = moved;
  other.digest = "refs 3";
  d.sync(19, other); // at 10:20
  d.see(d.time(at(11, 15)));
  BOOST_TEST(d.last.start->permit.empty());
  d.finish_unchanged();
  d.see(d.time(*d.machine.next_due()));
  BOOST_TEST(!d.last.start->permit.empty());
}

BOOST_AUTO_TEST_CASE(a_clock_that_goes_back_does_not_lengthen_the_wait) {
  auto s = quiet();
  s.release_deletions_after = 1h;
  repository d{s};
  d.sync(20);
  d.see(d.time(at(9, 0)));
  BOOST_TEST((d.machine.durable().hold->agreed == at(9, 0)));
  BOOST_TEST(d.permit() == d.machine.durable().hold->permit);
}
