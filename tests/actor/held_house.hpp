#pragma once

#include "tests/actor/house.hpp"
#include "tests/support/fakes/finalizers.hpp"

namespace veranda::test {

using names = std::vector<std::string>;

/// A house whose objects are an API server's, with finalizers and a watch of its own.
struct held_house : house {
  held_house() {
    git.publish(url, "main", "app", 1);
    api->told = [this](const repository_object& o, bool gone) {
      if (deaf)
        return;
      if (o.meta.deleted && !gone)
        rows_at_mark = cache.rows.size();
      if (gone)
        rows_at_end = cache.rows.size(), mirrors_at_end = git.mirrors.size();
      caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(o), gone});
    };
    finalizers = spawn(fake_finalizers, api);
    open();
  }
  ~held_house() { end_all(); }
  /// What a watcher's first list says.
  void list_all() {
    std::vector<repository_object> all;
    for (const auto& [k, o] : api->objects) {
      objects->put(o.meta.key, o.meta.uid);
      all.push_back(o);
    }
    tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(all))});
  }
  void apply(const repository_object& o) {
    api->put(o);
    list_all();
  }
  void remove_object(const std::string& name) {
    api->remove(key(name), wall_now());
    settle();
  }
  [[nodiscard]] bool there(const std::string& name) const { return api->objects.contains(key(name)); }
  /// Its labels do not fit the selector any more: a watch says that it is gone, and nothing else from then on.
  void leave(const std::string& name) {
    deaf = true;
    tell(boss, msg::repository_changed{std::make_shared<const repository_object>(api->objects.at(key(name))), true});
  }
  /// The daemon ends as if its power had gone, and starts again over the same cache.
  void power_cut() {
    for (const auto& [k, e] : seen().entries)
      if (e.handle)
        caf::anon_send_exit(e.handle, caf::exit_reason::kill);
    for (const auto& [identity, entry] : seen().remotes)
      caf::anon_send_exit(entry.handle, caf::exit_reason::kill);
    caf::anon_send_exit(boss, caf::exit_reason::kill);
    settle();
    open_supervisor();
  }

  std::shared_ptr<finalizer_script> api = std::make_shared<finalizer_script>();
  bool deaf = false; ///< no watch
  std::size_t rows_at_mark = 0, rows_at_end = 99, mirrors_at_end = 99;
};

} // namespace veranda::test
