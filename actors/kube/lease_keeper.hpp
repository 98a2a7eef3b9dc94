#pragma once

#include "actors/common/env.hpp"
#include "actors/kube/write_permit.hpp"
#include "actors/logic/elector.hpp"
#include "adapters/kube/api_client.hpp"
#include "messages/actor_handles.hpp"

#include <random>

namespace veranda {

using lease_keeper_actor = caf::typed_actor<caf::reacts_to<msg::continue_transfers>, caf::reacts_to<msg::wake_due>>; // INTERNAL

/// Where the election stands, for those who show it.
struct election_view {
  logic::elector_role role = logic::elector_role::standby;
  bool looked = false; ///< the Lease was read, or found missing
  std::string holder;  ///< as last seen; empty: nobody
  std::optional<failure> problem; ///< why the Lease cannot be read or written now
  bool operator==(const election_view&) const = default;
};

/// `problem` and what to do about it, in one line.
[[nodiscard]] std::string explain_lease_problem(const failure& problem, const object_key& lease);

struct lease_keeper_deps {
  runtime_env env;
  std::shared_ptr<kube::api_client> client; ///< driven by this actor alone, and used for nothing else
  object_key lease;
  logic::elector_policy policy;
  std::shared_ptr<write_permit> permit = std::make_shared<write_permit>();
  std::function<void()> leads; ///< called once
  /// Called once, when the permit is gone: everything that it permitted must end at once.
  std::function<void(const failure& why)> lost;
  std::function<void(const election_view&)> changed; ///< with each change
  std::function<logic::elector::time()> now = time_since_boot;
  std::chrono::milliseconds slice{100};
};

struct lease_keeper_state {
  static constexpr const char* name = "lease-keeper";
  lease_keeper_deps deps;
  cell_ptr cell;
  std::optional<logic::elector> elector;
  std::mt19937_64 rng;
  election_view shown;
  std::string said;           ///< the problem that was last logged
  std::string holder_said;    ///< and the holder
  bool told_to_stop = false;
  bool busy = false;          ///< a request is under way
  kube::api_client::call_id call = 0;
  std::uint64_t turn = 0;     ///< of what the machine asked for: later answers to earlier turns do not count
  std::uint64_t reads = 0, writes = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  ~lease_keeper_state();
};

/// Stands for election by a Lease of the API server, and leads by it: owns the machine (`logic::elector`), does what it asks for, and keeps the permit. Told to end
/// with `user_shutdown` it gives the Lease back first: so only after everything that the permit allowed has ended. Ends by itself when it lost. Blocks in slices:
/// spawn detached, and wake the client after sending.
lease_keeper_actor::behavior_type lease_keeper(lease_keeper_actor::stateful_pointer<lease_keeper_state> self, lease_keeper_deps deps);

} // namespace veranda
