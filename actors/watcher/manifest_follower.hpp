#pragma once

#include "actors/common/env.hpp"
#include "adapters/secrets/manifest_secrets.hpp"
#include "adapters/source/deletion_permit.hpp"
#include "adapters/source/manifest_sync.hpp"
#include "messages/actor_handles.hpp"

#include <deque>
#include <set>

namespace veranda {

struct manifest_follower_deps {
  runtime_env env;
  std::shared_ptr<source::manifest_directory> directory;
  std::shared_ptr<store::object_store_reader> objects_reader;
  std::shared_ptr<secrets::secret_files> secrets;
  source::merge_function merge;
  object_store_actor objects;
  supervisor_actor supervisor;
  source::plan_options planning;
  std::shared_ptr<source::deletion_permit> permit; ///< lets one plan remove what `planning` would hold; may be null
  std::function<void()> first_applied; ///< once, after the first scan is in the object store
  std::function<void(const std::vector<source::manifest_problem>&)> problems; ///< after each scan. Thread safe, quick
  std::chrono::milliseconds slice{250};
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds retry{1'000}; ///< doubled at each failed plan in a row
  std::chrono::milliseconds retry_max{30'000};
};

struct manifest_follower_state {
  static constexpr const char* name = "manifest-follower";
  manifest_follower_deps deps;
  cell_ptr cell;
  bool look = true; ///< scan even if nothing is said to have changed
  bool first = true;
  bool permitted = false; ///< the permit was taken, and is good until a plan is carried out
  failure permit_failure; ///< as last said
  bool failed = false;   ///< of the present plan: a write that is worth trying again
  unsigned failures = 0; ///< plans in a row
  std::deque<source::manifest_write> writes; ///< of the present plan
  std::vector<source::manifest_problem> plan_problems; ///< of the present plan
  std::set<source::manifest_problem> problems;         ///< as last reported
  std::map<object_key, std::string> secret_versions;
  std::map<std::string, std::int64_t> exposed_files; ///< that were warned about, as of that change of theirs
};

/// Follows the manifest directory into the object store (`manifest_follower_actor`): scan, plan, write one object after the other, look again. A failed write is tried again with
/// a new plan. Says problems once when they appear. Blocks in slices: spawn detached.
manifest_follower_actor::behavior_type manifest_follower(manifest_follower_actor::stateful_pointer<manifest_follower_state> self,
                                                         manifest_follower_deps deps);

} // namespace veranda
