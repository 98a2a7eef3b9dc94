// links: veranda_logic
#define BOOST_TEST_MODULE package_rev_walk
#include "actors/logic/package_rev_machine.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>

using namespace veranda;
using namespace veranda::logic;
using namespace std::chrono_literals;

namespace {

using time_point = package_rev_machine::time;
using rng_t = std::mt19937_64;

part_digest digest_of(int n) {
  part_digest d{};
  d[0] = static_cast<std::uint8_t>(n);
  d[1] = static_cast<std::uint8_t>(n >> 8);
  return d;
}

/// What is in an object: `said` stands for our annotations and owner; `others` are finalizers of somebody else.
struct object {
  std::string uid;
  std::int64_t version = 0;
  std::string repository;
  int said = 0;
  bool ours = false;
  bool others = false;
  bool terminating = false;
  int note = 0; ///< what a user wrote; must survive
  bool mine = false; ///< was written by the machine
  [[nodiscard]] package_rev_view view() const {
    const int all = said * 4 + (ours ? 1 : 0) + (repository.empty() ? 2 : 0);
    return {uid, std::to_string(version), repository, digest_of(all), terminating, ours, terminating && !ours && !others, others ? "others" : ""};
  }
};
int wanted_digest(int content) { return content * 4 + 1; }

/// An API server: what is there, and the history that a watch for objects with the label sees.
struct server {
  std::map<std::string, object> objects;
  struct change {
    std::int64_t version;
    std::string name;
    std::optional<object> now; ///< nothing: it is gone, or has no label any more
    std::string uid;
  };
  std::vector<change> history;
  std::int64_t version = 100;
  std::int64_t uids = 0;
  std::map<std::string, unsigned> writes; ///< by object

  void tell(const std::string& name, const object& was, const object* now) {
    const bool before = !was.repository.empty();
    const bool after = now != nullptr && !now->repository.empty();
    if (after)
      history.push_back({version, name, *now, now->uid});
    else if (before)
      history.push_back({version, name, std::nullopt, was.uid});
  }
  void set(const std::string& name, object next) {
    const auto was = objects.contains(name) ? objects[name] : object{};
    next.version = ++version;
    if (next.terminating && !next.ours && !next.others) {
      objects.erase(name);
      tell(name, was, nullptr);
    } else {
      objects[name] = next;
      tell(name, was, &next);
    }
  }
  void create(const std::string& name, object fresh) {
    fresh.uid = "u" + std::to_string(++uids);
    set(name, fresh);
  }
  void remove(const std::string& name) {
    auto o = objects.at(name);
    if (o.terminating)
      return;
    o.terminating = true;
    set(name, o);
  }
};

const std::vector<std::string> repositories{"red", "blue", "green"};
constexpr const char* foreign_repository = "elsewhere";

/// The machine between a cache and a server, with everything in between arriving late, twice, or not at all.
class world {
public:
  explicit world(std::uint64_t seed) : rng_(seed) {
    server_.create("foreign", {"", 0, foreign_repository, 1, true, false, false, 7, false});
    start_machine();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i)
      step();
    quiesce();
    check();
  }

private:
  struct revision {
    std::string repository;
    int content = 0;
  };
  struct entry {
    std::string name;
    std::string repository;
    bool deleted = false;
  };
  struct request {
    package_rev_order order;
    int content = 0;
    bool unknown = false; ///< the answer is lost
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
      case 0:
      case 1: change_cache(); break;
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

  // -- the cache
  void change_cache() {
    const auto name = some_name();
    const auto at = revisions_.find(name);
    if (at == revisions_.end()) {
      const auto repository = repositories[std::hash<std::string>{}(name) % repositories.size()];
      synced_[repository] = true;
      revisions_[name] = {repository, 1 + static_cast<int>(roll(1'000))};
      feed_.push_back({name, repository, false});
    } else if (roll(3) == 0) {
      feed_.push_back({name, at->second.repository, true});
      revisions_.erase(at);
    } else if (roll(6) == 0) { // the whole repository
      const auto repository = at->second.repository;
      std::erase_if(revisions_, [&](const auto& r) {
        if (r.second.repository == repository)
          feed_.push_back({r.first, repository, true});
        return r.second.repository == repository;
      });
      synced_.erase(repository);
    } else {
      at->second.content = 1 + static_cast<int>(roll(1'000));
      feed_.push_back({name, at->second.repository, false});
    }
  }
  void tell_repositories() {
    std::vector<package_rev_machine::known_repository> known;
    for (const auto& [name, synced] : synced_)
      known.push_back({key(name), synced});
    machine_->set_repositories(known, now_);
  }
  void load() {
    tell_repositories();
    machine_->begin_revisions();
    for (const auto& [name, r] : revisions_)
      machine_->want(key(name), r.repository, digest_of(wanted_digest(r.content)), now_);
    machine_->end_revisions(now_);
    fed_ = feed_.size();
    departed_told_ = false;
  }
  void read_feed() {
    if (!loaded_ || roll(30) == 0) // or the feed does not reach back
      load();
    loaded_ = true;
    if (fed_ > 3 && roll(10) == 0)
      fed_ -= roll(3); // twice
    for (; fed_ < feed_.size(); ++fed_) {
      const auto& e = feed_[fed_];
      const auto at = revisions_.find(e.name);
      if (e.deleted) {
        machine_->unwant(key(e.name), now_);
      } else if (at != revisions_.end() && last_of(e.name) == fed_) { // else a later entry tells
        machine_->want(key(e.name), at->second.repository, digest_of(wanted_digest(at->second.content)), now_);
      }
    }
    if (!machine_->ready() || machine_->count().strays == 0)
      return;
    tell_repositories();
    if (std::exchange(departed_told_, true))
      return;
    for (const auto& e : feed_)
      if (e.deleted && !revisions_.contains(e.name))
        machine_->departed(key(e.name), e.repository, now_);
  }
  std::size_t last_of(const std::string& name) const {
    std::size_t last = 0;
    for (std::size_t i = 0; i < feed_.size(); ++i)
      last = feed_[i].name == name ? i : last;
    return last;
  }

  // -- others at the server
  void meddle() {
    const auto name = some_name();
    const auto at = server_.objects.find(name);
    if (at == server_.objects.end()) {
      if (roll(3) == 0)
        server_.create(name, {"", 0, roll(2) == 0 ? "" : repositories[roll(3)], 9'999, roll(2) == 0, false, false, 5, false});
      return;
    }
    auto o = at->second;
    switch (roll(6)) {
      case 0: return server_.remove(name);
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
      request r{std::move(order), 0, false};
      if (r.order.call == package_rev_call::create || r.order.call == package_rev_call::patch) {
        const auto at = revisions_.find(r.order.key.name);
        if (at == revisions_.end()) {
          machine_->failed(r.order.key, {ec::cancelled, "", {}, {}, {}}, now_, 0.5);
          continue;
        }
        r.content = at->second.content;
      }
      requests_.push_back(std::move(r));
    }
  }
  std::string repository_of(const std::string& name) const { return revisions_.contains(name) ? revisions_.at(name).repository : repositories[std::hash<std::string>{}(name) % repositories.size()]; }

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
    const auto& o = r.order;
    const auto& name = o.key.name;
    ++server_.writes[name];
    const auto answered = [this, o](const object& now) { return [this, o, now] { machine_->answered(o.key, now.view(), now_); }; };
    const std::function<void()> gone = [this, o] { machine_->ended(o.key, now_); };
    const std::function<void()> conflict = [this, o] { machine_->failed(o.key, {ec::conflict, "", {}, {}, {}}, now_, 0.1); };
    const auto at = server_.objects.find(name);
    if (o.call == package_rev_call::create) {
      if (at != server_.objects.end())
        return [this, o] { machine_->exists(o.key, now_); };
      server_.create(name, {"", 0, repository_of(name), r.content, true, false, false, 0, true});
      return answered(server_.objects.at(name));
    }
    if (at == server_.objects.end())
      return gone;
    auto now = at->second;
    if (o.call == package_rev_call::read)
      return answered(now);
    if (now.uid != o.uid)
      return conflict;
    if (o.call == package_rev_call::remove) {
      server_.remove(name);
      return server_.objects.contains(name) ? std::function<void()>{answered(server_.objects.at(name))} : gone;
    }
    if (std::to_string(now.version) != o.resource_version)
      return conflict;
    BOOST_REQUIRE((o.foreign == "others") == now.others); // what is written back is what is there
    now.ours = o.call == package_rev_call::patch;
    if (o.call == package_rev_call::patch) {
      BOOST_REQUIRE(!now.terminating);
      now.said = r.content;
      now.mine = true;
      now.repository = repository_of(name);
    }
    const bool ends = now.terminating && !now.others;
    server_.set(name, now);
    if (ends) {
      now.version = server_.version;
      return answered(now);
    }
    return answered(server_.objects.at(name));
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
      case 2: std::erase_if(replies_, [this](const auto& r) {
          machine_->failed(r.key, {ec::unreachable, "", {}, {}, {}}, now_, 0.1);
          return true;
        });
        break;
      default: break;
    }
  }
  void start_machine() {
    for (const auto& r : requests_)
      if (roll(2) == 0)
        carry_out(r);
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
    std::size_t present = 0;
    for (const auto& [name, r] : revisions_) {
      const auto at = server_.objects.find(name);
      BOOST_REQUIRE_MESSAGE(at != server_.objects.end(), name + " is missing");
      BOOST_TEST((at->second.view().digest == digest_of(wanted_digest(r.content))), name + " is wrong");
      BOOST_TEST(at->second.repository == r.repository);
      BOOST_TEST(!at->second.terminating);
      ++present;
    }
    for (const auto& [name, o] : server_.objects) {
      const bool managed = synced_.contains(o.repository);
      if (!revisions_.contains(name))
        BOOST_TEST(!managed, name + " should have gone");
      if (!o.repository.empty() && !revisions_.contains(name) && name != "foreign")
        BOOST_TEST(!o.mine, name + " was left behind"); // what others made for a repository that is not there stays
    }
    BOOST_TEST(server_.objects.at("foreign").note == 7);
    BOOST_TEST(!server_.writes.contains("foreign"));
    BOOST_TEST(machine_->count().desired == present);
  }

  rng_t rng_;
  time_point now_{1h};
  server server_;
  std::map<std::string, revision> revisions_;
  std::map<std::string, bool> synced_;
  std::vector<entry> feed_;
  std::size_t fed_ = 0;
  std::unique_ptr<package_rev_machine> machine_;
  std::map<std::string, object> told_;
  std::size_t watched_ = 0;
  bool listed_ = false;
  bool loaded_ = false;
  bool departed_told_ = false;
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
