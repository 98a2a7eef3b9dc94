#include "actors/system/real_system.hpp"

#include "config/settings/setting_table.hpp"

#include <caf/send.hpp>

#include <utility>

namespace veranda {

logic::machine_settings machine_settings_of(const config::settings& s) {
  logic::machine_settings m;
  m.default_frequency = s.repo_sync_frequency;
  m.health_check_frequency = s.once ? std::chrono::milliseconds{0} : s.health_check_frequency;
  m.full_compare_interval = s.full_compare_interval;
  m.max_delete_percent = s.max_delete_percent;
  m.release_deletions_after = s.release_deletions_after;
  m.time_zone = s.time_zone;
  m.spread = 0.5;
  return m;
}

void real_system::spread_settings(const config::settings& before) {
  workers_ = in_force_.max_concurrent_syncs;
  parts_.take_limits(in_force_);
  tools_.set(tools_with(in_force_));
  const auto was = work_limits_of(before), now = work_limits_of(in_force_);
  const auto tell = [](const auto& whom, const logic::admission_limits& old, const logic::admission_limits& limits, std::chrono::milliseconds old_time, std::chrono::milliseconds time) {
    if (limits != old || time != old_time)
      caf::anon_send(whom, msg::limits_changed{std::make_shared<const logic::admission_limits>(limits), time});
  };
  tell(pool_, was.workers, now.workers, before.sync_deadline, in_force_.sync_deadline);
  tell(listers_, was.listers, now.listers, before.listing_timeout, in_force_.listing_timeout);
  tell(distant_listers_, was.distant_listers, now.distant_listers, before.listing_timeout, in_force_.listing_timeout);
  tell(http_, was.http, now.http, {}, {}); // it has its time from its engine
  parts_.listings->wake();
  if (const auto machine = machine_settings_of(in_force_); machine != machine_settings_of(before)) {
    const msg::settings_changed changed{std::make_shared<const logic::machine_settings>(machine)};
    caf::anon_send(supervisor_, changed);
    if (follower_)
      caf::anon_send(follower_, changed);
  }
}

void real_system::reload(const config::settings& again) {
  std::string taken;
  for (const auto& row : config::setting_table()) {
    const auto wanted = row.show(again);
    if (row.reloads && wanted != row.show(in_force_))
      taken += (taken.empty() ? "" : " ") + std::string{row.name} + "=" + wanted;
    else if (!row.reloads && wanted != row.show(settings_))
      log::warn("system", "a changed setting needs a restart; the old value holds until then",
                {{"setting", std::string{row.name}}, {"in_force", row.show(settings_)}, {"wanted", wanted}});
  }
  log::set_level(log::parse_level(again.log_level));
  spread_settings(std::exchange(in_force_, config::reloaded(in_force_, again)));
  log::info("system", "the settings were read anew", {{"changed", taken.empty() ? "nothing" : taken}});
  if (!api_)
    return;
  if (auto reloaded = api_->reload_certificate(); !reloaded)
    log::warn("api", "the TLS certificate was not reloaded; the old one stays", {{"err", describe(reloaded.error())}});
}

} // namespace veranda
