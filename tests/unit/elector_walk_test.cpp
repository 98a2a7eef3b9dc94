// links: veranda_logic
#define BOOST_TEST_MODULE elector_walk
#include "actors/logic/elector.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

using span = std::chrono::microseconds; ///< of true time, which no elector knows

const wall_time noon = *parse_rfc3339("2026-03-10T12:00:00Z");

/// An API server with one Lease.
class model_server {
public:
  std::optional<lease_object> lease;

  result<lease_object> create(const lease_record& record) {
    if (lease) return failure{ec::conflict, "it exists", {}, {}, {}};
    lease = lease_object{record, "u" + std::to_string(++uids_), next(), "{}"};
    return *lease;
  }
  result<lease_object> replace(const lease_replace& w) {
    if (!lease) return failure{ec::not_found, "it is gone", {}, {}, {}};
    if (lease->uid != w.base.uid || lease->resource_version != w.base.resource_version) return failure{ec::conflict, "it is another", {}, {}, {}};
    put(w.record);
    return *lease;
  }
  /// A write that changes nothing is none.
  void put(const lease_record& record) {
    if (lease->record != record) lease->resource_version = next();
    lease->record = record;
  }
  void touch() { lease->resource_version = next(); }

private:
  std::string next() { return std::to_string(++versions_); }
  int versions_ = 0;
  int uids_ = 0;
};

struct node {
  std::optional<elector> e;
  double rate = 1; ///< of its clocks
  span ahead{0};
  bool wall_stands = false;
  bool dead = false; ///< and comes back no more
  bool cut_off = false;
  span frozen_until{0};
  std::uint64_t turn = 0; ///< answers to what was asked before count no more
};

struct mischief {
  bool slow = false, lossy = false, freezes = false, restarts = false, deletes = false, meddles = false;
};

class world {
public:
  /// `rates`: of the clocks; by default at most 1.46 times as fast as another's: less than 15 s / 10 s.
  world(std::uint64_t seed, std::size_t nodes, mischief m, std::pair<double, double> rates = {0.82, 1.2}) : rng_(seed), mischief_(m), nodes_(nodes) {
    if (m.deletes) server_.lease = lease_object{{}, "u0", "0", "{}"}; // whoever never saw it cannot know that it was there
    for (auto& n : nodes_) {
      n.rate = rates.first + (rates.second - rates.first) * draw();
      n.ahead = between(0s, 1000h);
      n.wall_stands = draw() < 0.2;
      begin(n);
    }
  }

  void run(span how_long, bool wild) {
    const auto end = now_ + how_long;
    while (true) {
      if (wild && draw() < 0.2) trouble();
      if (events_.empty() || events_.begin()->first > end) break;
      auto first = events_.extract(events_.begin());
      now_ = std::max(now_, first.key());
      first.mapped()();
      check();
    }
    now_ = end;
    check();
  }
  void heal() {
    mischief_ = {};
    for (auto& n : nodes_) {
      n.frozen_until = now_;
      n.cut_off = false;
    }
  }
  [[nodiscard]] node* leader() {
    for (auto& n : nodes_)
      if (leads(n)) return &n;
    return nullptr;
  }
  void kill(node& n) {
    n.dead = true;
    n.e.reset();
    ++n.turn;
  }
  void stop(node& n) {
    n.dead = true;
    n.e->stop(moment_of(n));
    act(n);
  }
  int leaders_seen = 0;
  int overlaps = 0;

private:
  double draw() { return std::uniform_real_distribution<>{0, 1}(rng_); }
  span between(span least, span most) { return least + span{static_cast<std::int64_t>(draw() * static_cast<double>((most - least).count()))}; }
  void later(span delay, std::function<void()> what) { events_.emplace(now_ + delay, std::move(what)); }
  /// True time that passes while the node's clock moves on by `d`.
  template <class D>
  span true_time(const node& n, D d) { return span{static_cast<std::int64_t>(std::chrono::duration<double, std::micro>(d).count() / n.rate) + 1}; }

  elector::moment moment_of(const node& n) {
    const auto local = span{static_cast<std::int64_t>(static_cast<double>(now_.count()) * n.rate)} + n.ahead;
    return {elector::time{local}, n.wall_stands ? noon : noon + local, draw()};
  }
  bool leads(const node& n) { return n.e && n.e->role() == elector_role::leader && moment_of(n).now < n.e->leading_until(); }
  void check() {
    int leaders = 0;
    for (auto& n : nodes_) leaders += leads(n) ? 1 : 0;
    overlaps += leaders > 1 ? 1 : 0;
    leaders_seen += leaders;
  }

  void begin(node& n) {
    if (n.dead) return;
    if (mischief_.deletes && !server_.lease) return later(1s, [this, &n] { begin(n); });
    n.e.emplace(elector_policy{.identity = "n" + std::to_string(++identities_)}, moment_of(n));
    if (mischief_.deletes) n.e->on_read(server_.lease, moment_of(n));
    act(n);
  }

  /// Something happens to the node, once it is awake.
  void happen(node& n, std::uint64_t turn, std::function<void()> what) {
    if (n.turn != turn || !n.e) return;
    if (n.frozen_until > now_) return later(n.frozen_until - now_ + between(0us, 1ms), [this, &n, turn, what = std::move(what)] { happen(n, turn, what); });
    what();
    act(n);
  }

  void act(node& n) {
    const auto turn = ++n.turn;
    const auto& w = n.e->next();
    if (std::holds_alternative<lease_done>(w)) {
      n.e.reset();
      return later(between(1s, 5s), [this, &n] { begin(n); });
    }
    if (const auto* wait = std::get_if<lease_wait>(&w)) return later(true_time(n, wait->delay), [this, &n, turn] { happen(n, turn, [this, &n] { n.e->on_due(moment_of(n)); }); });
    if (n.e->role() == elector_role::leader) watch_the_clock(n, turn);
    if (const auto* read = std::get_if<lease_read>(&w)) {
      send<std::optional<lease_object>>(n, turn, read->timeout, [this] { return result<std::optional<lease_object>>{server_.lease}; },
                                        [this, &n](auto got) { n.e->on_read(std::move(got), moment_of(n)); });
    } else if (const auto* create = std::get_if<lease_create>(&w)) {
      send<lease_object>(n, turn, create->timeout, [this, record = create->record] { return server_.create(record); },
                         [this, &n](auto got) { n.e->on_written(std::move(got), moment_of(n)); });
    } else {
      const auto replace = std::get<lease_replace>(w);
      send<lease_object>(n, turn, replace.timeout, [this, replace] { return server_.replace(replace); },
                         [this, &n](auto got) { n.e->on_written(std::move(got), moment_of(n)); });
    }
  }

  void watch_the_clock(node& n, std::uint64_t turn) {
    later(100ms, [this, &n, turn] {
      if (n.turn != turn || !n.e) return;
      if (n.frozen_until <= now_ && n.e->on_tick(moment_of(n))) return act(n);
      watch_the_clock(n, turn);
    });
  }

  span delay() { return mischief_.slow && draw() < 0.2 ? between(0s, 9s) : between(1ms, 60ms); }

  /// What arrives is done, though nobody may wait for the answer any more.
  template <class T>
  void send(node& n, std::uint64_t turn, std::chrono::milliseconds timeout, std::function<result<T>()> what, std::function<void(result<T>)> answered) {
    const auto failed = [answered](ec code) { return [answered, code] { answered(failure{code, "the network", {}, {}, {}}); }; };
    later(true_time(n, timeout), [this, &n, turn, failed] { happen(n, turn, failed(ec::timed_out)); });
    if (n.cut_off) {
      if (draw() < 0.5) later(1ms, [this, &n, turn, failed] { happen(n, turn, failed(ec::unreachable)); });
      return;
    }
    if (mischief_.lossy && draw() < 0.1) return;
    later(delay(), [this, &n, turn, what, answered, failed] {
      auto got = what();
      if (mischief_.lossy && draw() < 0.1) {
        if (draw() < 0.5) later(delay(), [this, &n, turn, failed] { happen(n, turn, failed(ec::unavailable)); });
        return;
      }
      later(delay(), [this, &n, turn, answered, got] { happen(n, turn, [answered, got] { answered(got); }); });
    });
  }

  /// One who saw it gone and did not look again cannot know that it was back, and is gone once more.
  [[nodiscard]] bool all_saw_it() const {
    return std::all_of(nodes_.begin(), nodes_.end(), [](const node& n) { return !n.e || n.e->seen() != nullptr; });
  }

  void trouble() {
    auto& n = nodes_[rng_() % nodes_.size()];
    const auto d = draw();
    if (d < 0.05 && mischief_.freezes) n.frozen_until = now_ + between(1s, 40s);
    if (d > 0.05 && d < 0.1 && mischief_.lossy) {
      n.cut_off = true;
      later(between(1s, 30s), [&n] { n.cut_off = false; });
    }
    if (d > 0.1 && d < 0.12 && mischief_.restarts && n.e) {
      n.e.reset();
      ++n.turn;
      later(between(0s, 20s), [this, &n] { begin(n); });
    }
    if (d > 0.2 && d < 0.22 && mischief_.deletes && all_saw_it()) server_.lease.reset();
    if (d > 0.3 && d < 0.35 && mischief_.meddles && server_.lease) server_.touch();
    if (d > 0.35 && d < 0.36 && mischief_.meddles && server_.lease) server_.put({"somebody", 0, {}, {}, -1});
  }

  std::mt19937_64 rng_;
  mischief mischief_;
  model_server server_;
  std::vector<node> nodes_;
  std::multimap<span, std::function<void()>> events_;
  span now_{0};
  int identities_ = 0;
};

/// Wild times, then peace: somebody leads and goes on leading; the next takes over when it dies, and at once when it stops.
void walk(std::uint64_t seed, std::size_t nodes, mischief m) {
  BOOST_TEST_CONTEXT("seed " << seed << ", " << nodes << " electors") {
    world w{seed, nodes, m};
    w.run(10min, true);
    BOOST_TEST_REQUIRE(w.overlaps == 0);
    BOOST_TEST(w.leaders_seen > 0);
    w.heal();
    w.run(75s, false);
    auto* first = w.leader();
    BOOST_TEST_REQUIRE(first != nullptr);
    w.run(100s, false);
    BOOST_TEST_REQUIRE(w.leader() == first);
    w.kill(*first);
    w.run(25s, false); // (15 s + 4.4 s) / 0.82, and some requests
    auto* second = w.leader();
    BOOST_TEST_REQUIRE(second != nullptr);
    if (nodes > 2) {
      w.stop(*second);
      w.run(6s, false); // 4.4 s / 0.82, and some requests
      auto* third = w.leader();
      BOOST_TEST((third != nullptr && third != second));
    }
    BOOST_TEST_REQUIRE(w.overlaps == 0);
  }
}

constexpr mischief none{};
constexpr mischief network{.slow = true, .lossy = true};
constexpr mischief all_but_deletions{.slow = true, .lossy = true, .freezes = true, .restarts = true, .meddles = true};
constexpr mischief everything{.slow = true, .lossy = true, .freezes = true, .restarts = true, .deletes = true, .meddles = true};

} // namespace

BOOST_AUTO_TEST_CASE(two_never_lead_and_one_always_will) {
  for (const auto& m : {none, network, all_but_deletions, everything})
    for (std::uint64_t seed = 1; seed <= 150; ++seed) walk(seed, 2 + seed % 2, m);
}

/// The walks can see what they are there to see.
BOOST_AUTO_TEST_CASE(clocks_that_differ_too_much_are_noticed) {
  int overlaps = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    world w{seed, 3, network, {0.4, 2.5}};
    w.run(10min, true);
    overlaps += w.overlaps;
  }
  BOOST_TEST(overlaps > 0);
}
