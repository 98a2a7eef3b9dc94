#pragma once

#include "tests/actor/house.hpp"

namespace veranda::test {

inline constexpr const char* other_url = "https://git.example/other.git";

/// A house over two remotes.
struct whole_tree : house {
  explicit whole_tree(std::size_t slots = 2) : house(slots) {
    git.publish(url, "main", "app", 1);
    git.publish(other_url, "main", "web", 1);
    open();
  }
  [[nodiscard]] std::set<std::string> running_names() {
    std::set<std::string> out;
    for (const auto& [k, e] : seen().entries)
      out.insert(k.name);
    return out;
  }
  answer<msg::first_syncs> await_first() {
    auto out = ask<msg::first_syncs>(boss, msg::await_first_syncs{});
    settle();
    return out;
  }
};

} // namespace veranda::test
