#pragma once

#include "actors/kube/lease_keeper.hpp"
#include "config/settings/settings.hpp"

#include <string>

namespace veranda {

/// As the settings say, for a candidate that nobody else can be taken for: this host (in a pod, the pod) and a random number.
[[nodiscard]] logic::elector_policy election_policy(const config::settings& settings);

/// Where an election stands, as `/readyz` says it.
struct election_line {
  std::string text;
  bool standby = true;
  bool sound = false; ///< the Lease can be read and written
  bool operator==(const election_line&) const = default;
};
[[nodiscard]] election_line line_of(const election_view& view, const object_key& lease);

} // namespace veranda
