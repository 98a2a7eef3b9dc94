// links: veranda_house
#define BOOST_TEST_MODULE tree
#include "actors/logic/discovery/discovery.hpp"
#include "adapters/kpt/decoder.hpp"
#include "tests/actor/house.hpp"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#include <cstdio>

using namespace veranda;
using namespace veranda::test;

namespace {

std::uint64_t current_seed = 0; ///< of the walk that goes on, for whoever finds it dead

/// The whole tree under one seeded interleaving: remotes change, objects come, change and go, are planned and suspended, settings and the clock change, stores and
/// networks fail, actors die, the daemon ends. When all of that has ended and some time has passed, everything must be as if nothing had happened.
class random_walk : public house {
public:
  explicit random_walk(std::uint64_t seed) : house(1 + seed % 3), rng_(seed) {
    machine.health_check_frequency = 1min;
    machine.default_frequency = 10min;
    knows_hosts = seed % 2 == 0;
    shuffle.emplace(seed);
    env.seed = seed;
    workers->instead = [this](const msg::job& job) {
      sweep(job);
      return std::nullopt;
    };
    for (const auto& u : urls)
      git.publish(u, "main", "app", 1);
    open();
    send_list();
  }

  void add_all() {
    for (const auto& name : repository_names)
      store(an_object(name, urls.front(), "uid-" + name));
  }

  void run(int events) {
    for (int i = 0; i < events; ++i) {
      happen();
      for (auto n = pick(12); n > 0 && !idle(); --n)
        step();
      if (pick(4) == 0)
        advance(std::chrono::milliseconds{pick(20'000)});
    }
  }

  /// Failures end; what is left must heal by itself.
  void calm_down() {
    cache.failing.clear();
    objects->fail = nullptr;
    for (auto& [u, r] : git.remotes) {
      r.listing_fails.reset();
      r.fetch_fails.reset();
    }
    http->release();
    workers->release();
    settle();
    for (auto& [k, o] : wanted)
      o.meta.annotations.erase(std::string{api_names::suspend_annotation});
    send_list(); // as the watcher's next list would
    advance(30min);
  }

  void check() {
    BOOST_TEST(workers->broken_rules.empty());
    for (const auto& rule : workers->broken_rules)
      BOOST_TEST_MESSAGE(rule);
    BOOST_TEST(seen().entries.size() == wanted.size());
    BOOST_TEST(cache.rows.size() == wanted.size());
    std::set<std::string> used;
    for (const auto& [k, object] : wanted) {
      used.insert(object.spec.git->repo);
      BOOST_TEST_CONTEXT(to_string(k) << ": " << status(k.name)) {
        BOOST_TEST((cached(k.name) == truth(object)));
        BOOST_TEST(ready(k.name));
        BOOST_TEST(cache.rows.count(object.meta.uid) == 1U);
        const auto& kept = inside(k.name).machine->durable();
        BOOST_TEST((!kept.accepted_run_once || *kept.accepted_run_once > wall_now() || kept.consumed_run_once == kept.accepted_run_once), "a one-time sync that was accepted is due, and not done");
      }
    }
    BOOST_TEST(seen().remotes.size() == used.size());
    BOOST_TEST(seen().running.size() == wanted.size());
    BOOST_TEST(seen().running_remotes.size() == used.size());
    BOOST_TEST(git.mirrors.size() <= used.size()); // one that moved away and back may have nothing to fetch
    std::size_t members = 0;
    for (const auto& [identity, entry] : seen().remotes)
      members += state_of<remote_state>(entry.handle).members.size();
    BOOST_TEST(members == wanted.size());
    BOOST_TEST(state_of<worker_pool_state>(pool).jobs.empty());
  }

private:
  static inline const std::vector<std::string> urls{"https://git.example/one.git", "https://git.example/two.git", "/srv/git/three"};
  static inline const std::vector<std::string> repository_names{"a", "b", "c", "d"};

  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(rng_); }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[pick(all.size())];
  }

  /// What a Repository must hold, by discovery from nothing.
  std::vector<std::string> truth(const repository_object& object) {
    auto& remote = git.remotes.at(object.spec.git->repo);
    const auto decoder = kpt::make_decoder();
    logic::discovery_index index;
    logic::discovery_request request{object.meta.key, object.spec.git->repo, object.spec.git->branch, object.spec.git->directory, remote.objects.table(), {}};
    const auto found = logic::discover(request, remote.objects, *decoder, index, {});
    std::vector<std::string> out;
    if (found)
      for (const auto& r : found->revisions)
        out.push_back(r.name);
    std::sort(out.begin(), out.end());
    return out;
  }

  void send(msg::repository_changed m) { caf::anon_send(boss, std::move(m)); }
  void send_list() {
    std::vector<repository_object> all;
    for (const auto& [k, o] : wanted)
      all.push_back(o);
    caf::anon_send(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(all))});
  }
  void store(const repository_object& o) {
    wanted[o.meta.key] = o;
    objects->put(o.meta.key, o.meta.uid);
    send({std::make_shared<const repository_object>(o), false});
  }
  void drop(const std::string& name) {
    auto node = wanted.extract(key(name));
    objects->objects.erase(key(name));
    send({std::make_shared<const repository_object>(node.mapped()), true});
  }
  void kill(const caf::actor& whom) {
    if (pick(2) == 0)
      crash(whom);
    else
      caf::anon_send_exit(whom, caf::exit_reason::kill);
  }

  /// Mirrors are in memory, where a worker finds none to sweep.
  void sweep(const msg::job& job) {
    if (job.kind != msg::job_kind::sweep_mirrors)
      return;
    std::erase_if(git.mirrors, [&](const auto& mirror) {
      const auto in_use = [&](const msg::job& other) { return other.mirror == mirror.first; };
      return std::ranges::find(job.keep, mirror.first.substr(mirror.first.rfind('/') + 1)) == job.keep.end() && std::ranges::none_of(workers->under_way, in_use);
    });
  }

  /// A change of an object that is there.
  template <class Change>
  void edit(const std::string& name, Change change) {
    if (!wanted.contains(key(name)))
      return;
    auto o = wanted.at(key(name));
    const auto before = o.spec;
    change(o);
    o.meta.generation += o.spec == before ? 0 : 1;
    store(o);
  }
  void plan(const std::string& name) {
    edit(name, [this](repository_object& o) {
      if (pick(2) == 0)
        o.spec.sync.schedule = one_of(std::vector<std::string>{"", "*/7 * * * *", "*/13 * * * *"});
      else
        o.spec.sync.run_once_at = pick(3) == 0 ? std::nullopt : std::optional{std::chrono::floor<std::chrono::seconds>(wall_now()) + std::chrono::seconds{pick(1'200)}};
    });
  }
  void annotate(const std::string& name) {
    edit(name, [this](repository_object& o) {
      if (pick(2) == 0)
        o.meta.annotations[std::string{api_names::sync_requested_annotation}] = std::to_string(++lives_);
      else if (!o.meta.annotations.erase(std::string{api_names::suspend_annotation}))
        o.meta.annotations[std::string{api_names::suspend_annotation}] = "true";
    });
  }
  /// As SIGHUP does it.
  void change_settings() {
    auto again = machine;
    again.default_frequency = std::chrono::minutes{5 + pick(6)};
    caf::anon_send(boss, msg::settings_changed{std::make_shared<const logic::machine_settings>(again)});
    auto slots = limits;
    slots.slots = 1 + pick(3);
    caf::anon_send(pool, msg::limits_changed{std::make_shared<const logic::admission_limits>(slots), 20min});
  }

  /// As SIGTERM does it: what works on a mirror may finish, for a while.
  void end_in_order() {
    exit_now(pool, caf::exit_reason::user_shutdown);
    exit_now(boss, caf::exit_reason::user_shutdown);
    for (auto n = pick(200); n > 0 && !idle(); --n)
      step();
    start_again();
    send_list();
  }

  /// Without any of these the process ends: the rest goes on for a while, then it starts again.
  void kill_essential() {
    std::vector<caf::actor> all;
    for (const auto& pooled : {pool, listers, distant_listers})
      all.push_back(caf::actor_cast<caf::actor>(pooled));
    all.push_back(caf::actor_cast<caf::actor>(cache_actor));
    all.push_back(caf::actor_cast<caf::actor>(status_actor));
    all.push_back(caf::actor_cast<caf::actor>(objects_actor));
    all.push_back(caf::actor_cast<caf::actor>(http_actor_));
    all.push_back(caf::actor_cast<caf::actor>(boss));
    if (hosts)
      all.push_back(caf::actor_cast<caf::actor>(hosts));
    kill(one_of(all));
    all.clear();
    for (auto n = pick(100); n > 0 && !idle(); --n)
      step();
    start_again();
    send_list();
  }

  void happen() {
    const auto& name = one_of(repository_names);
    const auto known = wanted.contains(key(name));
    switch (pick(19)) {
    case 0:
    case 1:
      if (!known)
        store(an_object(name, one_of(urls), "uid-" + name + "-" + std::to_string(++lives_)));
      break;
    case 2:
      if (known && pick(2) == 0)
        drop(name);
      break;
    case 3: // made anew under its name
      if (known) {
        if (pick(2) == 0)
          drop(name);
        store(an_object(name, one_of(urls), "uid-" + name + "-" + std::to_string(++lives_)));
      }
      break;
    case 4:
      if (known) {
        auto o = wanted.at(key(name));
        o.spec.git->repo = one_of(urls);
        o.spec.git->directory = pick(3) == 0 ? "app" : "";
        ++o.meta.generation;
        store(o);
      }
      break;
    case 5:
    case 6: git.publish(one_of(urls), "main", pick(2) == 0 ? "app" : "web", 1 + static_cast<int>(pick(5))); break;
    case 7:
      if (const auto at = seen().entries.find(key(name)); at != seen().entries.end() && at->second.handle)
        caf::anon_send(at->second.handle, msg::sync_now{sync_cause::user, pick(2) == 0});
      break;
    case 8:
      if (const auto at = seen().entries.find(key(name)); at != seen().entries.end() && at->second.handle)
        kill(caf::actor_cast<caf::actor>(at->second.handle));
      break;
    case 9:
      if (!seen().remotes.empty())
        if (const auto& handle = std::next(seen().remotes.begin(), static_cast<std::ptrdiff_t>(pick(seen().remotes.size())))->second.handle)
          kill(caf::actor_cast<caf::actor>(handle));
      break;
    case 10: workers->throws = pick(2) == 0; break;
    case 11: {
      auto& r = git.remotes.at(one_of(urls));
      r.listing_fails = pick(2) == 0 ? std::optional{failure{ec::unreachable, "refused", {}, {}, {}}} : std::nullopt;
      r.fetch_fails = pick(2) == 0 ? std::optional{failure{ec::timed_out, "stalled", {}, {}, {}}} : std::nullopt;
      break;
    }
    case 12:
      cache.failing.clear();
      if (pick(4) == 0)
        cache.damaged = true;
      else if (pick(2) == 0)
        cache.failing[one_of(std::vector<std::string>{"claim", "open", "apply_delta", "put_state", "close", "states", "put_contents"})] =
          failure{ec::unavailable, "no space left on device", {}, {}, {}};
      objects->fail = nullptr;
      if (pick(3) == 0)
        objects->fail = [](const msg::write_object&) { return std::optional{failure{ec::unavailable, "busy", {}, {}, {}}}; };
      break;
    case 14:
      if (const auto n = pick(4); n == 0)
        kill_essential();
      else if (n == 1)
        end_in_order();
      break;
    case 15: plan(name); break;
    case 16: annotate(name); break;
    case 17: change_settings(); break;
    case 18:
      if (pick(3) == 0)
        wall_start += std::chrono::seconds{static_cast<std::int64_t>(pick(7'200)) - 3'600};
      break;
    case 13:
      if (pick(2) == 0) {
        http->hold = workers->hold = true;
      } else {
        http->release();
        workers->release();
      }
      break;
    }
  }

  std::mt19937_64 rng_;
  unsigned lives_ = 0;
};

} // namespace

BOOST_AUTO_TEST_CASE(an_answered_request_leaves_no_timer_behind) {
  random_walk walk{1};
  walk.add_all();
  walk.calm_down();
  walk.check();
  BOOST_TEST(walk.request_timers() == 0U);
}

/// A sanitizer ends the process without asking Boost.Test where it was.
#ifdef __SANITIZE_ADDRESS__
const bool tells_its_seed = [] {
  __sanitizer_set_death_callback([] { std::fprintf(stderr, "VERANDA_SEED=%llu\n", static_cast<unsigned long long>(current_seed)); });
  return true;
}();
#endif

BOOST_AUTO_TEST_CASE(whatever_happens_in_whatever_order_the_cache_becomes_what_the_remotes_hold) {
  const auto* only = std::getenv("VERANDA_SEED");
  const auto* count = std::getenv("VERANDA_SEEDS");
  const std::uint64_t first = only ? std::strtoull(only, nullptr, 10) : 1;
  const std::uint64_t last = first - 1 + (count ? std::strtoull(count, nullptr, 10) : only ? 1 : 2'000);
  for (auto seed = first; seed <= last; ++seed) {
    const auto failures = boost::unit_test::results_collector.results(boost::unit_test::framework::current_test_case().p_id).p_assertions_failed.get();
    current_seed = seed;
    BOOST_TEST_CONTEXT("VERANDA_SEED=" << seed) {
      random_walk walk{seed};
      walk.run(60);
      walk.calm_down();
      walk.check();
    }
    if (boost::unit_test::results_collector.results(boost::unit_test::framework::current_test_case().p_id).p_assertions_failed.get() != failures)
      break; // one is enough to look at
  }
}
