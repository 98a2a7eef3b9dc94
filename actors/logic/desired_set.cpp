#include "actors/logic/desired_set.hpp"

#include <algorithm>
#include <iterator>

namespace veranda::logic {

std::vector<object_identity> gone(std::vector<object_identity> wanted, std::vector<object_identity> running) {
  std::sort(wanted.begin(), wanted.end());
  std::sort(running.begin(), running.end());
  running.erase(std::unique(running.begin(), running.end()), running.end());
  std::vector<object_identity> out;
  std::set_difference(running.begin(), running.end(), wanted.begin(), wanted.end(), std::back_inserter(out));
  return out;
}

} // namespace veranda::logic
