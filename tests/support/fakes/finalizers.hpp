#pragma once

#include "messages/actor_handles.hpp"
#include "messages/errors.hpp"
#include "tests/support/fakes/actors.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace veranda::test {

/// Objects of an API server as far as finalizers matter: one that was deleted stays, marked, while it has any.
struct finalizer_script {
  std::map<object_key, repository_object> objects;
  std::function<void(const repository_object&, bool gone)> told; ///< what a watch would say
  std::optional<failure> fail;
  std::vector<std::string> done; ///< `hold team/a`, `release team/a`
  unsigned refused = 0;          ///< requests that failed
  bool stalled = false;          ///< what is asked waits
  std::deque<std::function<void()>> waiting;

  void flow() {
    stalled = false;
    for (const auto& act : std::exchange(waiting, {}))
      act();
  }

  void put(const repository_object& o) { objects[o.meta.key] = o; }
  void tell(const object_key& key, bool gone) {
    if (told)
      told(objects.at(key), gone);
    if (gone)
      objects.erase(key);
  }
  /// As somebody with kubectl would.
  void remove(const object_key& key, wall_time now) {
    auto& meta = objects.at(key).meta;
    meta.deleted = now;
    tell(key, meta.finalizers.empty());
  }
  void take_off(const object_key& key, const std::string& finalizer) {
    auto& meta = objects.at(key).meta;
    std::erase(meta.finalizers, finalizer);
    tell(key, meta.deleted && meta.finalizers.empty());
  }
  [[nodiscard]] bool held(const object_key& key) const {
    const auto at = objects.find(key);
    return at != objects.end() && std::count(at->second.meta.finalizers.begin(), at->second.meta.finalizers.end(), api_names::repository_finalizer) == 1;
  }

  /// Whether something was written, as `release` does.
  result<bool> hold(const object_meta& seen) {
    if (fail) {
      ++refused;
      return *fail;
    }
    done.push_back("hold " + to_string(seen.key));
    const auto at = objects.find(seen.key);
    if (at == objects.end() || at->second.meta.uid != seen.uid || at->second.meta.deleted)
      return failure{ec::not_found, "gone", {}, {}, {}};
    if (held(seen.key))
      return false;
    at->second.meta.finalizers.emplace_back(api_names::repository_finalizer);
    tell(seen.key, false);
    return true;
  }
  result<bool> release(const object_key& key, const std::string& uid) {
    if (fail) {
      ++refused;
      return *fail;
    }
    done.push_back("release " + to_string(key));
    const auto at = objects.find(key);
    if (at == objects.end() || at->second.meta.uid != uid || !held(key))
      return false;
    take_off(key, std::string{api_names::repository_finalizer});
    return true;
  }
};

/// Keeps the order of what it is asked.
finalizer_keeper_actor::behavior_type fake_finalizers(finalizer_keeper_actor::pointer self, std::shared_ptr<finalizer_script> script);

} // namespace veranda::test
