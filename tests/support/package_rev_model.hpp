#pragma once

#include "actors/logic/package_rev_machine.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// What a `package_rev_machine` stands between, for its walks: a cache and an API server.

namespace veranda::test {

using namespace veranda::logic;

inline part_digest digest_of(int n, int owner) {
  part_digest d{};
  d[0] = static_cast<std::uint8_t>(n);
  d[1] = static_cast<std::uint8_t>(n >> 8);
  d[2] = static_cast<std::uint8_t>(owner);
  d[3] = static_cast<std::uint8_t>(owner >> 8);
  return d;
}

/// What is in an object: `said` stands for our annotations; `others` are finalizers of somebody else.
struct object {
  std::string uid;
  std::int64_t version = 0;
  std::string repository;
  int said = 0;
  int owner = 0; ///< the Repository object; 0: none
  bool ours = false;
  bool others = false;
  bool terminating = false;
  int note = 0; ///< what a user wrote; must survive
  bool mine = false; ///< was written by the machine
  [[nodiscard]] package_rev_view view() const {
    const int all = said * 4 + (ours ? 1 : 0) + (repository.empty() ? 2 : 0);
    return {uid, std::to_string(version), repository, digest_of(all, owner), terminating, ours, mine, terminating && !ours && !others, others ? "others" : ""};
  }
};
inline part_digest wanted_digest(int content, int owner) { return digest_of(content * 4 + 1, owner); }

inline const std::vector<std::string> repositories{"red", "blue", "green"};
inline std::string home_of(const std::string& name) { return repositories[std::hash<std::string>{}(name) % repositories.size()]; }

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
  /// What one request is answered with.
  struct answer {
    enum class kind { shown, gone, conflict, exists } what;
    object now = {};
  };
  answer carry_out(const package_rev_order& o, int content, int owner) {
    using enum answer::kind;
    const auto& name = o.key.name;
    ++writes[name];
    const auto at = objects.find(name);
    if (o.call == package_rev_call::create) {
      if (at != objects.end())
        return {exists};
      create(name, {"", 0, home_of(name), content, owner, true, false, false, 0, true});
      return {shown, objects.at(name)};
    }
    if (at == objects.end())
      return {gone};
    auto now = at->second;
    if (o.call == package_rev_call::read)
      return {shown, now};
    if (now.uid != o.uid)
      return {conflict};
    if (o.call == package_rev_call::remove) {
      remove(name);
      return objects.contains(name) ? answer{shown, objects.at(name)} : answer{gone};
    }
    if (std::to_string(now.version) != o.resource_version)
      return {conflict};
    return {shown, write(name, std::move(now), o, content, owner)};
  }

private:
  object write(const std::string& name, object now, const package_rev_order& o, int content, int owner) {
    BOOST_REQUIRE((o.foreign == "others") == now.others); // what is written back is what is there
    now.ours = o.call == package_rev_call::patch;
    if (now.ours) {
      BOOST_REQUIRE(!now.terminating);
      now.said = content;
      now.mine = true;
      now.owner = owner;
      now.repository = home_of(name);
    }
    const bool ends = now.terminating && !now.others;
    set(name, now);
    now.version = version;
    return ends ? now : objects.at(name);
  }
};

/// Git, and the rows of a cache that syncs bring up to it.
class git_and_rows {
protected:
  struct revision {
    std::string repository;
    int content = 0;
    int owner = 0; ///< as the row has it
  };
  struct entry {
    std::string name;
    bool deleted = false;
  };

  /// A sync that succeeds: the rows are what git has.
  void sync(const std::string& repository) {
    if (!owners_.contains(repository)) return;
    const auto owner = owners_.at(repository);
    for (const auto& [name, content] : git_) {
      if (home_of(name) != repository) continue;
      const auto at = revisions_.find(name);
      if (at != revisions_.end() && at->second.content == content && at->second.owner == owner) continue;
      revisions_[name] = {repository, content, owner};
      feed_.push_back({name, false});
    }
    std::erase_if(revisions_, [&](const auto& r) {
      const bool gone = r.second.repository == repository && !git_.contains(r.first);
      if (gone) feed_.push_back({r.first, true});
      return gone;
    });
    rows_of_[repository] = owner;
    synced_[repository] = owner;
    untold_.insert(repository);
  }
  /// As the feed asks of the cache.
  bool holds(const std::string& repository) const {
    const auto row = rows_of_.find(repository);
    const auto synced = synced_.find(repository);
    return row != rows_of_.end() && synced != synced_.end() && row->second == synced->second;
  }
  std::size_t last_of(const std::string& name) const {
    std::size_t last = 0;
    for (std::size_t i = 0; i < feed_.size(); ++i)
      last = feed_[i].name == name ? i : last;
    return last;
  }

  std::map<std::string, int> git_; ///< content by name, of the repositories that are followed
  std::map<std::string, int> owners_; ///< their Repository objects
  std::map<std::string, revision> revisions_; ///< the rows
  std::map<std::string, int> rows_of_; ///< repositories that have rows, and whose
  std::map<std::string, int> synced_; ///< in this process
  std::set<std::string> untold_; ///< of those
  std::vector<entry> feed_;
};

} // namespace veranda::test
