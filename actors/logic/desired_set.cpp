#include "actors/logic/desired_set.hpp"

#include <algorithm>
#include <iterator>

namespace veranda::logic {

set_change difference(std::vector<object_identity> wanted, std::vector<object_identity> running) {
  const auto normalise = [](std::vector<object_identity>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
  };
  normalise(wanted);
  normalise(running);
  set_change change;
  std::set_difference(wanted.begin(), wanted.end(), running.begin(), running.end(), std::back_inserter(change.spawn));
  std::set_intersection(wanted.begin(), wanted.end(), running.begin(), running.end(), std::back_inserter(change.update));
  std::set_difference(running.begin(), running.end(), wanted.begin(), wanted.end(), std::back_inserter(change.stop));
  return change;
}

} // namespace veranda::logic
