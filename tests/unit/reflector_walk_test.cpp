// links: veranda_logic
#define BOOST_TEST_MODULE reflector_walk
#include "actors/logic/reflector.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <random>
#include <string>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

using truth = std::map<std::string, std::pair<std::string, std::int64_t>>; ///< name to uid and version

api_object to_object(const std::string& name, const std::string& uid, std::int64_t version) { return {{"blue", name}, uid, std::to_string(version), 1, "{}", {}}; }

/// An API server: a history, of which the oldest part is forgotten now and then, and a backup that it may be restored from.
class model_server {
public:
  void change(std::mt19937_64& rng) {
    const auto name = "n" + std::to_string(rng() % 12);
    const auto found = objects_.find(name);
    if (found == objects_.end()) put(api_event_type::added, name, "u" + std::to_string(++uids_));
    else if (rng() % 3 != 0) put(api_event_type::modified, name, found->second.first);
    else remove(name);
  }
  void back_up() { backup_ = {objects_, history_, version_, forgotten_}; }
  /// Down until somebody has noticed.
  void restore() {
    std::tie(objects_, history_, version_, forgotten_) = backup_;
    down = true;
  }
  void forget() { forgotten_ = version_; }

  result<api_list_page> list(const list_wanted& w, bool too_large) {
    if (!w.continue_token.empty()) {
      const auto at = w.continue_token.find('/');
      const auto version = std::stoll(w.continue_token.substr(0, at));
      if (version < forgotten_ || version > version_) return failure{ec::stale, "expired", {}, {}, {}};
      return page(snapshots_.at(w.continue_token), w.continue_token.substr(at + 1), version, w.limit);
    }
    if (!w.resource_version.empty() && std::stoll(w.resource_version) > version_) return failure{ec::stale, "too large", {}, {}, {}};
    if (too_large) return failure{ec::too_large, "too large", {}, {}, {}};
    return page(objects_, {}, version_, w.limit);
  }
  /// Events after `version`; a version from the future just stays silent.
  [[nodiscard]] bool knows(std::int64_t version) const { return version >= forgotten_; }
  [[nodiscard]] std::vector<api_event> events(std::int64_t version) const {
    std::vector<api_event> out;
    for (const auto& [at, e] : history_)
      if (at > version) out.push_back(e);
    return out;
  }
  [[nodiscard]] const truth& objects() const { return objects_; }
  [[nodiscard]] std::int64_t version() const { return version_; }
  bool down = false;

private:
  void put(api_event_type type, const std::string& name, const std::string& uid) {
    objects_[name] = {uid, ++version_};
    history_.emplace_back(version_, api_event{type, to_object(name, uid, version_), {}});
  }
  void remove(const std::string& name) {
    const auto uid = objects_.at(name).first;
    objects_.erase(name);
    ++version_;
    history_.emplace_back(version_, api_event{api_event_type::deleted, to_object(name, uid, version_), {}});
  }
  api_list_page page(const truth& from, const std::string& after, std::int64_t version, std::size_t limit) {
    api_list_page out{std::to_string(version), {}, {}};
    for (auto at = from.upper_bound(after); at != from.end(); ++at) {
      if (limit != 0 && out.items.size() == std::min<std::size_t>(limit, 3)) {
        out.continue_token = std::to_string(version) + "/" + out.items.back().key.name;
        snapshots_.insert_or_assign(out.continue_token, truth{from});
        break;
      }
      out.items.push_back(to_object(at->first, at->second.first, at->second.second));
    }
    return out;
  }

  truth objects_;
  std::vector<std::pair<std::int64_t, api_event>> history_;
  std::int64_t version_ = 100;
  std::int64_t forgotten_ = 100;
  std::int64_t uids_ = 0;
  std::tuple<truth, std::vector<std::pair<std::int64_t, api_event>>, std::int64_t, std::int64_t> backup_{{}, {}, 100, 100};
  std::map<std::string, truth> snapshots_;
};

/// What a follower knows who hears nothing but the reflector's events; checks that each makes sense where it comes.
class follower {
public:
  void hear(const reflector_event& e) {
    const auto& name = e.object.key.name;
    const auto found = known_.find(name);
    switch (e.type) {
      case reflector_event::kind::added:
        BOOST_REQUIRE_MESSAGE(found == known_.end(), "added twice: " + name);
        known_[name] = {e.object.uid, std::stoll(e.object.resource_version)};
        break;
      case reflector_event::kind::modified:
        BOOST_REQUIRE_MESSAGE(found != known_.end() && found->second.first == e.object.uid, "modified, but unknown: " + name);
        found->second.second = std::stoll(e.object.resource_version);
        break;
      case reflector_event::kind::deleted:
        BOOST_REQUIRE_MESSAGE(found != known_.end() && found->second.first == e.object.uid, "deleted, but unknown: " + name);
        known_.erase(found);
        break;
      default: break;
    }
  }
  [[nodiscard]] const truth& known() const { return known_; }

private:
  truth known_;
};

struct walk {
  explicit walk(std::uint64_t seed) : rng(seed) {}

  std::mt19937_64 rng;
  model_server server;
  reflector r{reflector_policy{}};
  follower f;
  reflector::time now{};
  bool open = false;

  bool chance(unsigned percent) { return rng() % 100 < percent; }
  double draw() { return static_cast<double>(rng() % 1000) / 1000; }
  void listen() {
    for (const auto& e : r.take_events()) f.hear(e);
  }
  failure trouble() {
    constexpr ec codes[] = {ec::unreachable, ec::timed_out, ec::unavailable, ec::throttled, ec::auth_rejected, ec::not_found, ec::stale};
    return {codes[rng() % std::size(codes)], "trouble", {}, {}, {}};
  }

  void list(const list_wanted& w, bool calm) {
    open = false;
    if (server.down) {
      server.down = false;
      return r.on_list_failed({ec::unreachable, "down", {}, {}, {}}, now, draw());
    }
    if (!calm && chance(15)) return r.on_list_failed(trouble(), now, draw());
    auto answer = server.list(w, !calm && chance(5));
    if (answer) r.on_page(*std::move(answer), now, draw());
    else r.on_list_failed(answer.error(), now, draw());
  }

  void begin_stream(bool calm) {
    if (server.down) {
      server.down = false;
      return r.on_watch_failed({ec::unreachable, "down", {}, {}, {}}, now, draw());
    }
    if (!calm && chance(10)) return r.on_watch_failed(trouble(), now, draw());
    if (!server.knows(std::stoll(r.position()))) {
      const failure old{ec::stale, "too old", {}, {}, {}};
      if (chance(50)) return r.on_watch_failed(old, now, draw());
      return r.on_event({api_event_type::error, {}, old}, now, draw());
    }
    r.on_watch_begun(now);
    open = true;
  }

  /// One event of the stream, sometimes twice, sometimes two in the wrong order.
  void deliver(bool calm) {
    const auto pending = server.events(std::stoll(r.position())); // a stream that is open is served whatever was forgotten
    if (pending.empty()) {
      if (server.version() >= std::stoll(r.position())) r.on_event({api_event_type::bookmark, {{}, {}, std::to_string(server.version()), 0, {}, {}}, {}}, now, draw());
      return;
    }
    const std::size_t first = pending.size() > 1 && !calm && chance(20) ? 1 : 0;
    r.on_event(pending[first], now, draw());
    if (first == 1) r.on_event(pending[0], now, draw());
    if (first == 1) r.on_event(pending[1], now, draw()); // the position is where it belongs again
    if (!calm && chance(20)) r.on_event(pending[0], now, draw());
    if (!calm && chance(20)) r.on_event(pending[first], now, draw());
  }

  void watch(bool calm) {
    if (!open) return begin_stream(calm);
    if (server.down || (!calm && chance(8))) {
      open = false;
      return r.on_watch_ended(chance(20) ? watch_end::idle : watch_end::closed, now, draw());
    }
    deliver(calm);
  }

  void step(bool calm) {
    now += std::chrono::milliseconds{rng() % 5'000};
    const auto wanted = r.next();
    if (const auto* l = std::get_if<list_wanted>(&wanted)) list(*l, calm);
    else if (std::holds_alternative<watch_wanted>(wanted)) watch(calm);
    else r.on_due(draw());
    if (!std::holds_alternative<watch_wanted>(r.next())) open = false;
    listen();
  }
};

} // namespace

BOOST_AUTO_TEST_CASE(whatever_happens_the_follower_ends_with_the_truth) {
  std::uint64_t lists = 0, watches = 0, events = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      walk w{seed};
      w.server.back_up();
      for (int i = 0; i < 400; ++i) {
        if (w.chance(40)) w.server.change(w.rng);
        if (w.chance(2)) w.server.forget();
        if (w.chance(2)) w.server.back_up();
        if (w.chance(1)) w.server.restore();
        w.step(false);
      }
      for (int i = 0; i < 200; ++i) w.step(true);
      BOOST_REQUIRE(w.r.synced());
      BOOST_REQUIRE_MESSAGE(std::holds_alternative<watch_wanted>(w.r.next()), "it ends watching");
      BOOST_REQUIRE((w.f.known() == w.server.objects()));
      BOOST_REQUIRE(w.r.size() == w.f.known().size());
      BOOST_REQUIRE(w.r.position() == std::to_string(w.server.version()));
      BOOST_REQUIRE(!w.r.problem());
      lists += w.r.lists();
      watches += w.r.watches();
      events += static_cast<std::uint64_t>(w.server.version());
    }
  }
  BOOST_TEST_MESSAGE("lists " << lists << ", watches " << watches << ", versions " << events);
  BOOST_TEST(lists > 2'000U); // the walk does meet trouble
  BOOST_TEST(watches > 2'000U);
}
