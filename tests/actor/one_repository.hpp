#pragma once

#include "tests/actor/house.hpp"

namespace veranda::test {

/// A house with one Repository, `a`, of one package.
struct one_repository : house {
  one_repository() {
    git.publish(url, "main", "app", 1);
    open();
  }
  void start() { list({an_object("a")}); }
  auto sync_now(bool full = false) { return ask<msg::sync_done>(repository_of("a"), msg::sync_now{sync_cause::user, full}); }
};

template <class T>
bool answered(const answer<T>& a) {
  return a->has_value();
}

} // namespace veranda::test
