#include "actors/system/real_system.hpp"

#include "actors/kube/finalizer_keeper.hpp"
#include "actors/kube/secret_keeper.hpp"
#include "actors/system/election.hpp"
#include "actors/watcher/watcher.hpp"
#include "adapters/store/package_mirror_reader.hpp"

#include <caf/actor_system.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

void real_system::spawn_keepers() {
  if (!parts_.kube)
    return;
  finalizers_ = system_->spawn<caf::detached>(kube_finalizers, kube_finalizers_deps{env_, parts_.kube->finalizers(), parts_.kube->known()});
  auto secrets = parts_.kube->secret_deps(env_);
  secrets.problem = [this](const std::string& why) { ready_.set_secret_problem(why); };
  secret_keeper_ = system_->spawn<caf::detached>(kube_secrets, std::move(secrets));
  if (!parts_.kube->package_revs())
    return;
  auto mirror = parts_.kube->package_rev_deps(env_);
  mirror.telemetry = telemetry_;
  mirror.open_cache = [this] { return store::open_package_mirror_reader(parts_.cache_file); };
  if (settings_.leader_elect)
    mirror.may_begin = [this] { return leads_.load(); };
  mirror.problem = [this](const std::string& why) { ready_.set_package_rev_problem(why); };
  ready_.set_package_rev_problem("their first list has not come yet");
  package_revs_ = system_->spawn<caf::detached>(package_rev_keeper, std::move(mirror));
}

void real_system::stand_for_election() {
  const auto lease = parts_.kube->lease();
  election_client_ = parts_.kube->open_election_client();
  show_election({}, lease);
  lease_keeper_deps deps;
  deps.env = env_;
  deps.client = election_client_;
  deps.lease = lease;
  deps.policy = election_policy(settings_);
  deps.permit = parts_.kube->permit();
  deps.leads = [this] {
    leads_ = true;
    spawn_watcher_or_fail();
  };
  deps.lost = [this, lease](const failure& why) {
    if (hooks_.leadership_lost)
      hooks_.leadership_lost(lease, why);
  };
  deps.changed = [this, lease](const election_view& view) { show_election(view, lease); };
  log::info("system", "standing for election", {{"lease", to_string(lease)}, {"identity", deps.policy.identity}, {"server", parts_.kube->server()}});
  lease_keeper_ = system_->spawn<caf::detached>(lease_keeper, std::move(deps));
  is_essential(lease_keeper_, lease_keeper_state::name);
}

void real_system::show_election(const election_view& view, const object_key& lease) {
  auto line = line_of(view, lease);
  telemetry_->leading(!line.standby);
  ready_.set_election(std::move(line.text), line.standby, line.sound);
}

} // namespace veranda
