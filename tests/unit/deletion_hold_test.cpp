// links: veranda_logic
#define BOOST_TEST_MODULE deletion_hold
#include "actors/logic/condition_builder.hpp"
#include "actors/logic/deletion_hold.hpp"
#include "actors/logic/package_delta.hpp"
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

#include <random>
#include <set>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

const sync_basis here{"refs 1", "1111111111111111111111111111111111111111", "here"};
const sync_basis moved{"refs 2", "2222222222222222222222222222222222222222", "here"};

/// What a sync finds of `cached` revisions when the first `lost` are gone, and others are new.
package_delta losing(std::size_t cached, std::size_t lost, std::size_t added = 0, const sync_basis& basis = moved) {
  std::vector<cached_entry> before;
  std::vector<package_revision> found;
  for (std::size_t i = 0; i < cached; ++i) {
    package_revision r;
    r.name = "r" + std::to_string(i);
    before.push_back({r.name, r.digest()});
    if (i >= lost) found.push_back(r);
  }
  for (std::size_t i = 0; i < added; ++i) {
    package_revision r;
    r.name = "new" + std::to_string(i);
    found.push_back(r);
  }
  return make_delta(std::move(before), std::move(found), {}, basis);
}

const std::optional<deletion_hold> nothing;

std::optional<deletion_hold> judge(const package_delta& delta, unsigned percent = 50, const std::optional<deletion_hold>& standing = nothing, std::string_view permit = {},
                                   wall_time now = at(10, 0), const sync_basis& before = here) {
  return hold_removals(delta, {.standing = standing, .before = before, .max_percent = percent, .permit = permit, .cause = "why", .now = now});
}

} // namespace

BOOST_AUTO_TEST_SUITE(the_rule)

BOOST_AUTO_TEST_CASE(holds_at_least_ten_and_more_than_the_percentage) {
  struct row {
    std::size_t cached, lost;
    unsigned percent;
    bool held;
  };
  for (const auto& [cached, lost, percent, held] : std::vector<row>{
         {0, 0, 50, false},      // nothing cached: a first sync
         {9, 9, 50, false},      // all, but fewer than ten
         {10, 10, 50, true},     // exactly ten
         {20, 10, 50, false},    // exactly half
         {19, 10, 50, true},     // more than half
         {21, 11, 50, true},
         {1000, 500, 50, false},
         {1000, 501, 50, true},
         {1000, 9, 0, false},
         {1000, 10, 0, true}, // 0: any ten
         {1000, 1000, 99, true},
         {1000, 990, 99, false},
         {1000, 1000, 100, false}, // 100: never
       })
    BOOST_TEST(judge(losing(cached, lost), percent).has_value() == held, cached << " " << lost << " " << percent);
}

BOOST_AUTO_TEST_CASE(additions_do_not_dilute) {
  BOOST_TEST(judge(losing(20, 20, 1000)).has_value());
}

BOOST_AUTO_TEST_CASE(says_how_many_of_how_many_and_why) {
  const auto hold = judge(losing(25, 20));
  BOOST_REQUIRE(hold);
  BOOST_TEST(hold->count == 20U);
  BOOST_TEST(hold->total == 25U);
  BOOST_TEST(hold->base == 25U);
  BOOST_TEST(hold->cause == "why");
  BOOST_TEST((hold->since == at(10, 0)));
  BOOST_TEST((hold->agreed == at(10, 0)));
  BOOST_TEST(hold->permit.starts_with("20-"));
  BOOST_TEST(hold->permit.size() == 15U);
}

BOOST_AUTO_TEST_CASE(leaves_another_url_branch_or_directory_to_the_user) {
  auto elsewhere = moved;
  elsewhere.source = "there";
  BOOST_TEST(!judge(losing(20, 20, 0, elsewhere)));
  auto unknown = here;
  unknown.source.clear(); // a cache from before this rule
  BOOST_TEST(judge(losing(20, 20), 50, nothing, {}, at(10, 0), unknown).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(a_standing_hold)

BOOST_AUTO_TEST_CASE(stays_the_same_as_long_as_the_same_are_missing) {
  const auto first = judge(losing(25, 20));
  const auto again = judge(losing(30, 20), 50, first, {}, at(11, 0)); // five were added
  BOOST_TEST((again == first));
}

BOOST_AUTO_TEST_CASE(is_not_diluted_by_what_was_added_since) {
  const auto first = judge(losing(20, 20, 30));
  BOOST_TEST(judge(losing(50, 20), 50, first).has_value()); // 40 % of what is cached now, all of what was
}

BOOST_AUTO_TEST_CASE(is_another_when_others_are_missing) {
  const auto first = judge(losing(25, 20));
  const auto more = judge(losing(25, 21), 50, first, first->permit, at(11, 0)); // the permit was for the twenty
  BOOST_REQUIRE(more);
  BOOST_TEST(more->permit != first->permit);
  BOOST_TEST((more->since == first->since));
  BOOST_TEST((more->agreed == at(11, 0)));
}

BOOST_AUTO_TEST_CASE(ends_when_they_come_back_or_too_few_are_missing) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 0), 50, first));
  BOOST_TEST(!judge(losing(25, 9), 50, first));
  BOOST_TEST(!judge(losing(25, 12), 50, first)); // 48 %
  BOOST_TEST(judge(losing(25, 13), 50, first).has_value());
}

BOOST_AUTO_TEST_CASE(ends_with_its_permit_and_no_other) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 20), 50, first, first->permit));
  BOOST_TEST(judge(losing(25, 20), 50, first, "20-000000000000").has_value());
  BOOST_TEST(judge(losing(25, 20), 50, first, "20").has_value());
}

BOOST_AUTO_TEST_CASE(has_a_permit_that_fits_no_later_one_of_the_same) {
  const auto first = judge(losing(25, 20));
  const auto later = judge(losing(25, 20), 50, nothing, first->permit, at(12, 0));
  BOOST_REQUIRE(later);
  BOOST_TEST(later->permit != first->permit);
}

BOOST_AUTO_TEST_CASE(ends_where_the_setting_allows_it_now) {
  const auto first = judge(losing(25, 20));
  BOOST_TEST(!judge(losing(25, 20), 80, first));
}

BOOST_AUTO_TEST_CASE(of_a_cache_that_was_lost_is_judged_by_what_is_there) {
  const auto first = judge(losing(1000, 600));
  BOOST_TEST(judge(losing(12, 12), 50, first).has_value());
  BOOST_TEST(!judge(losing(0, 0), 50, first));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(a_delta_without_its_removals_counts_what_stays) {
  const auto delta = losing(25, 20, 3);
  const auto kept = without_removals(delta);
  BOOST_TEST(kept.removed.empty());
  BOOST_TEST(kept.added.size() == 3U);
  BOOST_TEST(kept.stats.cached_only == 0U);
  BOOST_TEST(kept.stats.revisions == 28U);
  BOOST_TEST(kept.stats.external_only == 3U);
  BOOST_TEST((kept.basis == delta.basis));
}

BOOST_AUTO_TEST_CASE(causes) {
  BOOST_TEST(cause_of_removals(here, moved, "main", "directory \"x\" does not exist") == "directory \"x\" does not exist");
  BOOST_TEST(cause_of_removals(here, moved, "main", "") == "since the last sync branch \"main\" moved from 11111111 to 22222222");
  auto refs = here;
  refs.digest = "refs 2";
  BOOST_TEST(cause_of_removals(here, refs, "main", "") == "since the last sync tags, drafts or proposals were removed");
  BOOST_TEST(cause_of_removals(here, here, "main", "") == "a comparison with the remote no longer finds them");
}

BOOST_AUTO_TEST_SUITE(the_machine)

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

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(seeded_walks)

namespace {

using names = std::set<std::string>;

/// A remote whose revisions come and go at random, a cache, and people who give permits: right ones, old ones, made-up ones.
struct walk {
  explicit walk(unsigned seed) : random(seed) {
    for (int n = 0; n < 30; ++n) remote.insert("r" + std::to_string(n));
    d.emplace(quiet());
    d->see(d->object());
    sync();
  }
  unsigned draw(unsigned below) { return static_cast<unsigned>(random() % below); }

  static std::vector<package_revision> revisions(const names& from) {
    std::vector<package_revision> out(from.size());
    std::transform(from.begin(), from.end(), out.begin(), [](const std::string& name) {
      package_revision r;
      r.name = name;
      return r;
    });
    return out;
  }

  /// The running sync, to its end.
  void sync() {
    std::vector<cached_entry> before;
    for (const auto& r : revisions(cached)) before.push_back({r.name, r.digest()});
    const auto delta = make_delta(std::move(before), revisions(remote), {}, {"refs " + std::to_string(++digests), here.commit, here.source});
    sync_outcome o;
    o.basis = delta.basis;
    o.hold = d->machine.judge(delta, "", d->now);
    const names removed{delta.removed.begin(), delta.removed.end()};
    const auto base = hold_base ? std::min(*hold_base, cached.size()) : cached.size();
    const bool many = removed.size() >= 10 && removed.size() * 2 > base;
    const bool permitted = shown && given == shown->first && removed == shown->second;
    BOOST_REQUIRE_EQUAL(o.hold.has_value(), many && !permitted);
    if (many && permitted) BOOST_REQUIRE(used.insert(given).second); // none counts twice
    cached.insert(remote.begin(), remote.end());
    if (o.hold) {
      if (!hold_base) hold_base = base;
      shown = std::pair{o.hold->permit, removed};
      old.push_back(o.hold->permit);
    } else {
      hold_base.reset();
      shown.reset();
      for (const auto& name : removed) cached.erase(name);
    }
    o.stats.revisions = cached.size();
    d->finish(o);
    BOOST_REQUIRE_EQUAL(d->machine.status(d->now).deletion_permit, shown ? shown->first : "");
    if (!d->running.empty()) sync(); // one that was asked for meanwhile
  }

  void change_remote() {
    const auto kind = draw(4);
    if (kind == 0) {
      lost.insert(remote.begin(), remote.end());
      std::erase_if(remote, [&](const std::string&) { return draw(4) > 0; });
    } else if (kind == 1) {
      remote.insert(lost.begin(), lost.end());
    } else if (kind == 2) {
      for (unsigned n = draw(20); n > 0; --n) remote.insert("n" + std::to_string(draw(200)));
    } else if (!remote.empty()) {
      lost.insert(*remote.begin());
      remote.erase(remote.begin());
    }
  }

  void permit() {
    const auto kind = draw(3);
    given = kind == 0 && shown ? shown->first : kind == 1 && !old.empty() ? old[draw(static_cast<unsigned>(old.size()))] : "20-00000000000" + std::to_string(draw(10));
    d->see(d->annotate(api_names::allow_deletion_annotation, given));
    if (draw(4) == 0 && !d->running.empty()) d->finish_failed(fails(ec::unreachable));
    if (!d->running.empty()) sync();
  }

  void restart() {
    const auto kept = d->machine.durable();
    const auto object = d->repo;
    const auto now = d->now;
    d.emplace(quiet(), kept, now);
    d->repo = object;
    d->see(d->object());
    if (!d->running.empty()) sync();
  }

  void step() {
    switch (draw(4)) {
      case 0: return permit();
      case 1: return restart();
      case 2: change_remote(); [[fallthrough]];
      default:
        if (const auto due = d->machine.next_due()) d->see(d->time(*due));
        if (!d->running.empty()) sync();
    }
  }

  std::mt19937 random;
  std::optional<driver> d;
  names remote, cached, lost;
  std::optional<std::size_t> hold_base;               ///< revisions when the hold began
  std::optional<std::pair<std::string, names>> shown; ///< permit, and what it is for
  std::string given;
  std::vector<std::string> old;
  names used;
  int digests = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(nothing_many_goes_without_the_permit_for_it) {
  std::size_t held = 0, released = 0;
  for (unsigned seed = 1; seed <= 200; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) {
      walk w{seed};
      for (int n = 0; n < 150; ++n) w.step();
      if (w.shown) { // and with it everything does
        w.given = w.shown->first;
        w.d->see(w.d->annotate(api_names::allow_deletion_annotation, w.given));
        if (w.d->running.empty()) w.d->see(w.d->time(*w.d->machine.next_due()));
        w.sync();
        if (w.shown) { // the remote had moved since it was shown
          w.given = w.shown->first;
          w.d->see(w.d->annotate(api_names::allow_deletion_annotation, w.given));
          w.sync();
        }
      }
      BOOST_TEST(!w.shown.has_value());
      held += names{w.old.begin(), w.old.end()}.size();
      released += w.used.size();
    }
  BOOST_TEST(held > 400U); // the walks went where they should
  BOOST_TEST(released > 200U);
}

BOOST_AUTO_TEST_SUITE_END()
