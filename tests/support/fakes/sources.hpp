#pragma once

#include "adapters/source/manifest_directory.hpp"
#include "adapters/source/repository_source.hpp"
#include "adapters/store/object_store.hpp"
#include "tests/support/fakes/actors.hpp"

#include <deque>

namespace veranda::test {

/// A source of Repository objects that answers what the script says, call by call; without a script nothing happens.
struct fake_repository_source final : source::repository_source {
  std::vector<std::string> calls; ///< `list`, `poll 7`
  std::deque<result<source::repository_list>> lists;
  std::deque<result<std::vector<source::repository_event>>> polls;
  unsigned idle = 0; ///< polls that had nothing to say
  std::function<void()> during_list, during_poll;

  result<source::repository_list> list() override {
    calls.emplace_back("list");
    if (during_list)
      during_list();
    if (lists.empty())
      return source::repository_list{"1", {}};
    auto next = std::move(lists.front());
    lists.pop_front();
    return next;
  }
  result<std::vector<source::repository_event>> poll(const std::string& version, std::chrono::milliseconds) override {
    calls.push_back("poll " + version);
    if (during_poll)
      during_poll();
    if (polls.empty()) {
      ++idle;
      calls.pop_back();
      return std::vector<source::repository_event>{};
    }
    auto next = std::move(polls.front());
    polls.pop_front();
    return next;
  }
};

/// A manifest directory whose content the test sets.
struct fake_manifest_directory final : source::manifest_directory {
  source::manifest_state state;
  bool changed = false;
  unsigned scans = 0;
  unsigned idle = 0; ///< waits that ended without a change
  std::function<void()> during_scan, during_wait;

  void say(source::manifest_state s) {
    state = std::move(s);
    changed = true;
  }
  source::manifest_state scan() override {
    ++scans;
    if (during_scan)
      during_scan();
    return state;
  }
  bool wait(std::chrono::milliseconds) override {
    if (during_wait)
      during_wait();
    idle += changed ? 0 : 1;
    return std::exchange(changed, false);
  }
};

/// Reads what the scripted object store holds.
struct fake_objects_reader final : store::object_store_reader {
  explicit fake_objects_reader(std::shared_ptr<store_script> s) : script(std::move(s)) {}
  result<store::object_list> list(const std::string& resource, const std::string&) override {
    if (failing)
      return *failing;
    store::object_list out{script->version, {}};
    for (const auto& [key, object] : script->objects)
      if (object.resource == resource)
        out.items.push_back(object);
    return out;
  }
  result<std::optional<store::stored_object>> get(const std::string&, const object_key& key) override {
    const auto at = script->objects.find(key);
    return at == script->objects.end() ? std::optional<store::stored_object>{} : at->second;
  }
  result<std::vector<store::object_event>> events_after(const std::string&, std::int64_t, std::size_t) override { return std::vector<store::object_event>{}; }
  result<std::int64_t> wait_beyond(std::int64_t, std::chrono::milliseconds) override { return script->version; }

  std::shared_ptr<store_script> script;
  std::optional<failure> failing;
};

} // namespace veranda::test
