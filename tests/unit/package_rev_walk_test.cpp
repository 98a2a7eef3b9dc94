// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_walk
#include "tests/support/package_rev_model.hpp"

#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <functional>
#include <memory>
#include <random>

using namespace veranda;
using namespace veranda::logic;
using namespace veranda::test;
using namespace std::chrono_literals;

namespace {

using time_point = package_rev_machine::time;
using rng_t = std::mt19937_64;

constexpr const char* foreign_repository = "elsewhere";

/// The machine between a cache and a server, with everything in between arriving late, twice, or not at all. The cache is on a volume that may be behind git and behind
/// the server, as another process wrote there meanwhile; syncs bring it up to git. A Repository object may be deleted, and then the garbage collector deletes what it
/// owns; or it lives on elsewhere, with objects that are none of our business.
class world : git_and_rows {
public:
  explicit world(std::uint64_t seed) : rng_(seed) {
    server_.create("foreign", {"", 0, foreign_repository, 1, 0, true, false, false, 7, false});
    start_machine();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i)
      step();
    quiesce();
    check();
  }

private:
  struct request {
    package_rev_order order;
    int content = 0;
    int owner = 0;
  };
  struct reply {
    object_key key;
    std::function<void()> tell;
  };

  unsigned roll(unsigned n) { return static_cast<unsigned>(rng_() % n); }
  static object_key key(const std::string& name) { return {"ns", name}; }
  std::string some_name() { return "p" + std::to_string(roll(10)); }

  void step() {
    now_ += std::chrono::milliseconds{roll(3'000)};
    switch (roll(14)) {
      case 0: change_git(); break;
      case 1: sync(repositories[roll(3)]); break;
      case 2: meddle(); break;
      case 3:
      case 4:
      case 5: see_one(); break;
      case 6:
      case 7: read_feed(); break;
      case 8:
      case 9: ask(); break;
      case 10:
      case 11: serve_one(roll(8) == 0); break;
      case 12: answer_one(); break;
      default: disturb();
    }
  }

  // -- git and the cache
  void change_git() {
    const auto name = some_name();
    const auto repository = home_of(name);
    if (!owners_.contains(repository)) {
      owners_[repository] = ++made_;
      std::erase_if(moved_, [&](const auto& n) { return home_of(n) == repository; });
    } else if (roll(8) == 0) {
      leave(repository, roll(2) == 0);
      return;
    }
    if (git_.contains(name) && roll(3) == 0) {
      git_.erase(name);
      precious_.erase(name);
    } else {
      git_[name] = 1 + static_cast<int>(roll(1'000));
    }
    if (roll(3) > 0) sync(repository);
  }
  /// Its rows go: the Repository object is deleted, or another daemon's.
  void leave(const std::string& repository, bool deleted) {
    std::erase_if(revisions_, [&](const auto& r) {
      if (r.second.repository == repository) feed_.push_back({r.first, true});
      return r.second.repository == repository;
    });
    std::erase_if(git_, [&](const auto& g) { return home_of(g.first) == repository; });
    std::erase_if(precious_, [&](const auto& p) { return home_of(p.first) == repository; });
    rows_of_.erase(repository);
    const auto owner = owners_.extract(repository).mapped();
    if (deleted) {
      dead_.insert(owner);
      return;
    }
    for (const auto& [name, o] : server_.objects) // but for those that are being written just now
      if (o.repository == repository && home_of(name) == repository && !o.terminating && !dead_.contains(o.owner) && std::none_of(requests_.begin(), requests_.end(), [&](const auto& r) { return r.order.key.name == name; }))
        moved_.insert(name);
  }
  void load() {
    std::vector<object_key> all;
    for (const auto& [repository, owner] : synced_) {
      all.push_back(key(repository));
      untold_.insert(repository);
    }
    machine_->leave_step(all, now_);
    machine_->begin_revisions();
    for (const auto& [name, r] : revisions_) machine_->want(key(name), r.repository, wanted_digest(r.content, r.owner), now_);
    machine_->end_revisions(now_);
    fed_ = feed_.size();
  }
  void read_feed() {
    if (!loaded_ || roll(30) == 0) // or the feed does not reach back
      load();
    loaded_ = true;
    if (fed_ > 3 && roll(10) == 0) fed_ -= roll(3); // twice
    for (; fed_ < feed_.size(); ++fed_) {
      const auto& e = feed_[fed_];
      const auto at = revisions_.find(e.name);
      if (e.deleted) {
        machine_->unwant(key(e.name), now_);
      } else if (at != revisions_.end() && last_of(e.name) == fed_) { // else a later entry tells
        machine_->want(key(e.name), at->second.repository, wanted_digest(at->second.content, at->second.owner), now_);
      }
    }
    rows_told_ = revisions_;
    for (const auto& repository : std::exchange(untold_, {})) {
      if (holds(repository)) machine_->enter_step({key(repository)}, now_);
      else synced_.erase(repository);
    }
  }

  // -- others at the server
  void meddle() {
    const auto name = some_name();
    const auto at = server_.objects.find(name);
    if (at == server_.objects.end()) {
      if (roll(3) == 0)
        server_.create(name, {"", 0, roll(2) == 0 ? "" : repositories[roll(3)], 9'999, 0, roll(2) == 0, false, false, 5, false});
      return;
    }
    auto o = at->second;
    switch (roll(6)) {
      case 0:
        moved_.erase(name);
        precious_.erase(name);
        return server_.remove(name);
      case 1: o.said = 8'888; break;
      case 2: o.others = !o.others && !o.terminating; break; // none may be added at the end
      case 3: o.ours = false; break;
      case 4: o.repository.clear(); break;
      default: o.note = 1 + static_cast<int>(roll(100));
    }
    server_.set(name, o);
  }

  // -- the watch, as a reflector tells of it
  void see(const server::change& c) {
    const auto known = told_.find(c.name);
    if (c.now) {
      if (known != told_.end() && known->second.uid != c.uid)
        machine_->gone(key(c.name), known->second.uid, now_);
      told_[c.name] = *c.now;
      machine_->seen(key(c.name), c.now->view(), now_);
    } else if (known != told_.end() && known->second.uid == c.uid) {
      told_.erase(known);
      machine_->gone(key(c.name), c.uid, now_);
    }
  }
  void see_one() {
    if (!listed_)
      return list();
    if (watched_ < server_.history.size())
      see(server_.history[watched_++]);
  }
  void list() {
    std::map<std::string, object> there;
    for (const auto& [name, o] : server_.objects)
      if (!o.repository.empty())
        there[name] = o;
    for (auto it = told_.begin(); it != told_.end();) {
      const auto at = there.find(it->first);
      if (at != there.end() && at->second.uid == it->second.uid) {
        ++it;
        continue;
      }
      machine_->gone(key(it->first), it->second.uid, now_);
      it = told_.erase(it);
    }
    for (const auto& [name, o] : there)
      if (const auto at = told_.find(name); at == told_.end() || at->second.version != o.version) {
        told_[name] = o;
        machine_->seen(key(name), o.view(), now_);
      }
    listed_ = true;
    watched_ = server_.history.size();
    machine_->listed(now_);
  }

  // -- requests
  void ask() {
    for (auto& order : machine_->start(now_)) {
      const auto& repository = order.repository.name;
      if (order.absent && !holds(repository)) { // the cache has lost it
        synced_.erase(repository);
        machine_->leave_step({order.repository}, now_);
        machine_->failed(order.key, {ec::cancelled, "", {}, {}, {}}, now_, 0.5);
        continue;
      }
      if (order.absent) BOOST_REQUIRE(!rows_told_.contains(order.key.name));
      request r{std::move(order), 0, 0};
      if (r.order.call == package_rev_call::create || r.order.call == package_rev_call::patch) {
        const auto at = revisions_.find(r.order.key.name);
        if (at == revisions_.end()) {
          machine_->failed(r.order.key, {ec::cancelled, "", {}, {}, {}}, now_, 0.5);
          continue;
        }
        r.content = at->second.content;
        r.owner = at->second.owner;
        BOOST_REQUIRE(synced_.contains(at->second.repository)); // in this process
      }
      requests_.push_back(std::move(r));
    }
  }

  /// The server carries out one request, or the connection breaks before or after that.
  void serve_one(bool broken) {
    if (requests_.empty())
      return;
    const auto at = requests_.begin() + static_cast<std::ptrdiff_t>(roll(static_cast<unsigned>(requests_.size())));
    const auto r = *at;
    requests_.erase(at);
    const auto lost = [this, r](ec code) { replies_.push_back({r.order.key, [this, r, code] { machine_->failed(r.order.key, {code, "", {}, {}, {}}, now_, 0.1); }}); };
    if (broken && roll(2) == 0)
      return lost(roll(2) == 0 ? ec::throttled : ec::unavailable);
    const auto outcome = carry_out(r);
    if (broken)
      return lost(ec::timed_out);
    replies_.push_back({r.order.key, [this, r, outcome] { outcome(); }});
  }
  std::function<void()> carry_out(const request& r) {
    using enum server::answer::kind;
    auto [what, now] = server_.carry_out(r.order, r.content, r.owner);
    switch (what) {
      case gone: return [this, key = r.order.key] { machine_->ended(key, now_); };
      case conflict: return [this, key = r.order.key] { machine_->failed(key, {ec::conflict, "", {}, {}, {}}, now_, 0.1); };
      case exists: return [this, key = r.order.key] { machine_->exists(key, now_); };
      default: return [this, key = r.order.key, now = std::move(now)] { machine_->answered(key, now.view(), now_); };
    }
  }
  void answer_one() {
    if (replies_.empty())
      return;
    const auto at = replies_.begin() + static_cast<std::ptrdiff_t>(roll(static_cast<unsigned>(replies_.size())));
    const auto one = *at;
    replies_.erase(at);
    one.tell();
  }

  // -- trouble
  void disturb() {
    switch (roll(6)) {
      case 0: start_machine(); break; // killed; what was sent may still arrive
      case 1: list(); break;          // the position was too old
      case 2: collect_garbage(); break;
      case 3: std::erase_if(replies_, [this](const auto& r) {
          machine_->failed(r.key, {ec::unreachable, "", {}, {}, {}}, now_, 0.1);
          return true;
        });
        break;
      default: break;
    }
  }
  void collect_garbage() {
    for (const auto& [name, o] : std::map<std::string, object>{server_.objects})
      if (dead_.contains(o.owner)) server_.remove(name);
  }
  /// A replica with a volume of its own was the leader for a while: git went on, and so did the objects. Users have written there.
  void another_leads() {
    for (int n = 0; n < 4; ++n)
      if (const auto name = some_name(); owners_.contains(home_of(name))) {
        if (git_.contains(name) && roll(2) == 0) git_.erase(name);
        else git_[name] = 1 + static_cast<int>(roll(1'000));
      }
    for (const auto& [name, o] : std::map<std::string, object>{server_.objects})
      if (owners_.contains(o.repository) && !git_.contains(name) && !o.others) {
        auto last = o;
        last.terminating = true;
        last.ours = false;
        server_.set(name, last);
      }
    precious_.clear();
    for (const auto& [name, content] : git_) {
      const auto at = server_.objects.find(name);
      if (at != server_.objects.end() && at->second.terminating) continue;
      object o{"", 0, home_of(name), content, owners_.at(home_of(name)), true, false, false, 3, true};
      if (at == server_.objects.end()) {
        server_.create(name, o);
      } else {
        o.uid = at->second.uid;
        o.others = at->second.others;
        server_.set(name, o);
      }
      precious_[name] = server_.objects.at(name).uid;
    }
  }
  void start_machine() {
    for (const auto& r : requests_)
      if (roll(2) == 0)
        carry_out(r);
    synced_.clear();
    untold_.clear();
    rows_told_.clear();
    if (roll(2) == 0) another_leads();
    requests_.clear();
    replies_.clear();
    package_rev_policy policy;
    policy.max_in_flight = 3;
    machine_ = std::make_unique<package_rev_machine>(policy);
    told_.clear();
    listed_ = loaded_ = false;
  }

  // -- the end
  void quiesce() {
    for (auto& [name, o] : std::map<std::string, object>{server_.objects})
      if (o.others) {
        o.others = false;
        server_.set(name, o);
      }
    const auto before = server_.writes;
    for (const auto& [repository, owner] : std::map<std::string, int>{owners_}) sync(repository);
    collect_garbage();
    for (int round = 0; round < 3'000; ++round) {
      while (watched_ < server_.history.size() || !listed_)
        see_one();
      read_feed();
      ask();
      while (!requests_.empty())
        serve_one(false);
      while (!replies_.empty())
        answer_one();
      const auto due = machine_->due();
      now_ = std::max(now_ + 1ms, due.value_or(now_));
      if (machine_->count().pending == 0 && watched_ == server_.history.size() && !due)
        break;
    }
    BOOST_TEST(machine_->count().pending == 0U);
    BOOST_TEST(machine_->in_flight() == 0U);
    for (const auto& [name, count] : server_.writes) {
      const auto had = before.find(name);
      BOOST_TEST(count - (had == before.end() ? 0 : had->second) <= 8U, name << " took " << count);
    }
  }
  void check() {
    for (const auto& [name, content] : git_) {
      const auto at = server_.objects.find(name);
      BOOST_REQUIRE_MESSAGE(at != server_.objects.end(), name + " is missing");
      BOOST_TEST((at->second.view().digest == wanted_digest(content, owners_.at(home_of(name)))), name + " is wrong");
      BOOST_TEST(at->second.repository == home_of(name));
      BOOST_TEST(!at->second.terminating);
    }
    for (const auto& [name, uid] : precious_)
      BOOST_TEST(server_.objects.at(name).uid == uid, name + " was lost with what users had added");
    for (const auto& name : moved_)
      BOOST_TEST(server_.objects.contains(name), name + " was another daemon's");
    for (const auto& [name, o] : server_.objects) {
      if (!git_.contains(name)) BOOST_TEST(!owners_.contains(o.repository), name + " should have gone");
      if (!o.repository.empty() && o.mine) BOOST_TEST(!o.terminating, name + " was not let go of");
    }
    BOOST_TEST(server_.objects.at("foreign").note == 7);
    BOOST_TEST(!server_.writes.contains("foreign"));
    BOOST_TEST(machine_->count().desired == git_.size());
  }

  rng_t rng_;
  time_point now_{1h};
  server server_;
  int made_ = 0;
  std::set<int> dead_; ///< Repository objects that were deleted
  std::set<std::string> moved_; ///< objects of repositories that live on elsewhere
  std::map<std::string, std::string> precious_; ///< uid by name, of objects that a volume may be behind of
  std::map<std::string, revision> rows_told_;
  std::size_t fed_ = 0;
  std::unique_ptr<package_rev_machine> machine_;
  std::map<std::string, object> told_;
  std::size_t watched_ = 0;
  bool listed_ = false;
  bool loaded_ = false;
  std::vector<request> requests_;
  std::vector<reply> replies_;
};

} // namespace

BOOST_AUTO_TEST_CASE(whatever_happens_the_objects_end_as_the_cache_has_it) {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed)
    BOOST_TEST_CONTEXT("seed " << seed) {
      world w{seed};
      w.run(400);
    }
}
