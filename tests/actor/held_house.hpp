#pragma once

#include "tests/actor/house.hpp"
#include "tests/support/fakes/finalizers.hpp"

namespace veranda::test {

using names = std::vector<std::string>;

/// A house whose objects are an API server's, with finalizers and a watch of its own.
struct held_house : house {
  held_house();
  ~held_house() { end_all(); }
  /// What a watcher's first list says.
  void list_all();
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
  void leave(const std::string& name);
  /// The daemon ends as if its power had gone, and starts again over the same cache.
  void power_cut();

  std::shared_ptr<finalizer_script> api = std::make_shared<finalizer_script>();
  bool deaf = false; ///< no watch
  std::size_t rows_at_mark = 0, rows_at_end = 99, mirrors_at_end = 99;
};

} // namespace veranda::test
