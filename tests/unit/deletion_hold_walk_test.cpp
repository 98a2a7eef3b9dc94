// links: veranda_logic
#define BOOST_TEST_MODULE deletion_hold_walk
#include "actors/logic/deletion_hold.hpp"
#include "tests/support/lost_revisions.hpp"
#include "tests/support/machine_harness.hpp"

#include <boost/test/unit_test.hpp>

#include <random>
#include <set>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

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
    const auto protects = std::min(removed.size(), base); // no more than was there when the hold began
    const names held{delta.removed.end() - static_cast<std::ptrdiff_t>(protects), delta.removed.end()};
    const bool many = protects >= 10 && protects * 2 > base;
    const bool permitted = shown && given == shown->first && held == shown->second;
    BOOST_REQUIRE_EQUAL(o.hold.has_value(), many && !permitted);
    if (many && permitted) BOOST_REQUIRE(used.insert(given).second); // none counts twice
    cached.insert(remote.begin(), remote.end());
    if (o.hold) {
      for (const auto& name : without_held(delta, *o.hold).removed) cached.erase(name);
      BOOST_REQUIRE(cached.size() <= remote.size() + base);
      if (!hold_base) hold_base = base;
      shown = std::pair{o.hold->permit, held};
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
