#pragma once

#include "actors/logic/package_delta.hpp"

namespace veranda::test {

using namespace veranda::logic;

inline const sync_basis here{"refs 1", "1111111111111111111111111111111111111111", "here"};
inline const sync_basis moved{"refs 2", "2222222222222222222222222222222222222222", "here"};

/// What a sync finds of `cached` revisions when the first `lost` are gone, and others are new.
inline package_delta losing(std::size_t cached, std::size_t lost, std::size_t added = 0, const sync_basis& basis = moved) {
  std::vector<cached_entry> before;
  std::vector<package_revision> found;
  for (std::size_t i = 0; i < cached; ++i) {
    package_revision r;
    r.name = "r" + std::to_string(i);
    before.push_back({r.name, r.digest()});
    if (i >= lost) found.push_back(r);
  }
  for (std::size_t i = 0; i < added; ++i) {
    package_revision r;
    r.name = "new" + std::to_string(i);
    found.push_back(r);
  }
  return make_delta(std::move(before), std::move(found), {}, basis);
}

} // namespace veranda::test
