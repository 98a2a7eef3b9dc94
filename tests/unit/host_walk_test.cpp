// links: veranda_logic
#define BOOST_TEST_MODULE host_walk
#include "actors/logic/admission.hpp"
#include "actors/logic/host_table.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <deque>
#include <set>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;
using kind = host_answer::kind;

namespace {

constexpr int hosts = 5;
constexpr int remotes = 8; ///< at each
constexpr std::size_t slots = 6, per_host = 3, unproven = 3, failing = 1;

/// Remotes that come to their hosts at random, wait their turn in the queue, and find hosts that are up, down, refusing or asking for patience. The table and the queue are
/// held to what they promise after every step.
struct walk {
  explicit walk(std::uint64_t seed) : rng(seed), table({}, seed) {}

  struct job {
    host_visitor who;
    std::uint64_t probe = 0;
  };
  struct truth {
    bool up = true;
    unsigned blamed = 0;             ///< in a row, of whatever remote
    steady_instant silent_until{};   ///< as it asked for
    std::uint64_t probe = 0;
    steady_instant probe_since{};
    bool down = false;
  };

  std::uint64_t pick(std::uint64_t n) { return rng() % n; }
  std::string name(int host) const { return "https://host" + std::to_string(host); }
  truth& about(const std::string& host) { return truths[host]; }

  void come() {
    const host_visitor who{name(static_cast<int>(pick(hosts))), "r" + std::to_string(pick(remotes)), pick(2) ? "" : "team/key", pick(10) == 0, pick(5) == 0};
    const auto answer = table.enter(who, now);
    auto& t = about(who.host);
    const auto seen = table.view(who.host, now);
    switch (answer.what) {
    case kind::pass:
      BOOST_REQUIRE(who.fetch || seen.condition == host_condition::up);
      break;
    case kind::probe:
      BOOST_REQUIRE(!who.fetch);
      BOOST_REQUIRE(t.down);
      BOOST_REQUIRE(t.probe == 0 || now >= t.probe_since + 2min); // one at a time
      BOOST_REQUIRE(answer.probe != 0);
      t.probe = answer.probe;
      t.probe_since = now;
      break;
    case kind::hold:
      BOOST_REQUIRE(t.probe != 0);
      BOOST_REQUIRE(now < t.probe_since + 2min); // has an end
      return;
    case kind::unavailable:
      BOOST_REQUIRE(t.down);
      BOOST_REQUIRE(!who.user);
      BOOST_REQUIRE(answer.wait.count() > 0);
      BOOST_REQUIRE(answer.wait <= 5min);
      return;
    case kind::paused:
      BOOST_REQUIRE(answer.wait.count() > 0);
      BOOST_REQUIRE(answer.wait <= 1h);
      BOOST_REQUIRE(now < t.silent_until);
      return;
    }
    const auto id = ++ids;
    BOOST_REQUIRE((queue.push({id, "ns" + std::to_string(pick(3)), who.host, who.user}) == admission_answer::accepted));
    waiting.emplace(id, job{who, answer.probe});
  }

  void start() {
    const auto next = queue.pop();
    if (!next) return;
    auto node = waiting.extract(next->id);
    BOOST_REQUIRE(!node.empty());
    running.insert(std::move(node));
    std::map<std::string, std::size_t> at;
    for (const auto& [id, j] : running) ++at[j.who.host];
    BOOST_REQUIRE(running.size() <= slots);
    std::size_t doubtful = 0, bad = 0;
    for (const auto& [id, j] : running) {
      const auto was = standing.count(id) ? standing[id] : (standing[id] = answers.count(j.who.host) ? (answers[j.who.host] ? 2 : 0) : 1);
      doubtful += was < 2 ? 1 : 0;
      bad += was == 0 ? 1 : 0;
    }
    for (const auto& [host, n] : at) BOOST_REQUIRE(n <= per_host);
    BOOST_REQUIRE(doubtful <= unproven);
    BOOST_REQUIRE(bad <= failing);
  }

  void end() {
    if (running.empty()) return;
    auto node = running.extract(std::next(running.begin(), static_cast<long>(pick(running.size()))));
    const auto id = node.key();
    const auto j = node.mapped();
    standing.erase(id);
    auto& t = about(j.who.host);
    std::optional<failure> why;
    std::optional<std::chrono::milliseconds> pause;
    if (pick(12) == 0) why = failure{ec::cancelled, "stopped", {}, {}, {}};
    else if (!t.up) why = failure{pick(2) ? ec::unreachable : ec::timed_out, "down", {}, {}, {}};
    else if (pick(10) == 0) why = failure{ec::not_found, "404", {}, {}, {}};
    else if (pick(60) == 0) why = failure{pick(2) ? ec::throttled : ec::unavailable, "later", {}, {}, pause = std::chrono::seconds{pick(7200)}};
    const bool silent = why && (why->code == ec::unreachable || why->code == ec::timed_out);
    queue.done(id, !why ? std::optional{true} : silent ? std::optional{false} : std::nullopt);
    if (!why || silent) answers[j.who.host] = !silent;
    if (j.who.fetch && !pause) return;
    const auto change = table.ended(j.who, j.probe, why ? &*why : nullptr, pause, now);
    const auto verdict = verdict_of(why ? &*why : nullptr);
    t.blamed = verdict == host_verdict::blamed ? t.blamed + 1 : verdict == host_verdict::nothing ? t.blamed : 0;
    if (pause) t.silent_until = std::max(t.silent_until, now + std::min<std::chrono::milliseconds>(std::max<std::chrono::milliseconds>(*pause, 1s), 1h));
    if (j.probe != 0 && j.probe == t.probe) t.probe = 0;
    if (change == host_change::opened) {
      BOOST_REQUIRE(!t.down);
      BOOST_REQUIRE(t.blamed >= 5U);
      t.down = true;
    } else if (change == host_change::closed) {
      BOOST_REQUIRE(t.down);
      t.down = false;
      t.probe = 0;
    }
    if (verdict == host_verdict::good || verdict == host_verdict::answered) BOOST_REQUIRE((table.view(j.who.host, now).condition == host_condition::up));
    BOOST_REQUIRE(t.down == (table.view(j.who.host, now).condition != host_condition::up));
  }

  void step() {
    now += std::chrono::milliseconds{pick(3000)};
    for (int h = 0; h < hosts; ++h) {
      auto& t = about(name(h));
      if (pick(400) == 0) t.up = !t.up;
      const auto change = table.expire(name(h), now);
      BOOST_REQUIRE((change == host_change::nothing || change == host_change::probe_lost)); // somebody comes all the time
      if (change == host_change::probe_lost) {
        BOOST_REQUIRE(now >= t.probe_since + 2min);
        t.probe = 0;
      }
    }
    switch (pick(3)) {
    case 0: return come();
    case 1: return start();
    default: return end();
    }
  }

  /// Everything is up and nobody asks for patience any more: every remote gets through, and soon.
  void recover() {
    for (auto& [host, t] : truths) t.up = true;
    while (!waiting.empty() || !running.empty()) {
      start();
      end();
    }
    now += 1h + 5min;
    for (int h = 0; h < hosts; ++h) {
      table.expire(name(h), now);
      const host_visitor who{name(h), "r0", {}, false, false};
      const auto answer = table.enter(who, now);
      BOOST_REQUIRE((answer.what == kind::pass || answer.what == kind::probe));
      table.ended(who, answer.probe, nullptr, {}, now);
      BOOST_REQUIRE((table.enter(who, now).what == kind::pass));
    }
  }

  std::mt19937_64 rng;
  host_table table;
  admission queue{{.slots = slots, .per_host = per_host, .unproven = unproven, .failing = failing}};
  steady_instant now{1h};
  std::map<std::string, truth> truths;
  std::map<std::uint64_t, job> waiting, running;
  std::map<std::uint64_t, int> standing; ///< when it started: 0 failing, 1 unknown, 2 answering
  std::map<std::string, bool> answers;
  std::uint64_t ids = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(random_use_keeps_every_promise) {
  unsigned opened = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      walk w{seed};
      for (int i = 0; i < 4'000; ++i) {
        w.step();
        opened += std::any_of(w.truths.begin(), w.truths.end(), [](const auto& t) { return t.second.down; }) ? 1U : 0U;
      }
      w.recover();
    }
  }
  BOOST_TEST(opened > 1'000U); // it was about something
}
