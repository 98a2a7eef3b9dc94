#include "actors/system/real_system.hpp"

#include "actors/common/guard.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

namespace veranda {

namespace {

constexpr std::chrono::seconds longest_wait{365 * 24 * 3600}; ///< for what ends when its work is done

} // namespace

std::optional<msg::first_syncs> real_system::wait_first_syncs(const std::function<bool()>& give_up) {
  caf::scoped_actor self{*system_};
  std::optional<msg::first_syncs> sums;
  auto asked = self->request(supervisor_, longest_wait, msg::await_first_syncs{}); // once: the supervisor keeps each request until then
  while (!self->await_data(caf::blocking_actor::timeout_type::clock::now() + std::chrono::milliseconds{200}))
    if (give_up())
      return std::nullopt;
  asked.receive([&](const msg::first_syncs& s) { sums = s; }, [](caf::error&) {});
  if (sums)
    flush_status(self);
  return !sums || await_package_revs(self, give_up) ? sums : std::nullopt;
}

bool real_system::await_package_revs(caf::scoped_actor& self, const std::function<bool()>& give_up) {
  if (!package_revs_)
    return true;
  auto asked = self->request(package_revs_, longest_wait, msg::await_package_revs{});
  while (!self->await_data(caf::blocking_actor::timeout_type::clock::now() + std::chrono::milliseconds{200}))
    if (give_up())
      return false;
  asked.receive([](bool) {}, [](caf::error&) {});
  return true;
}

void real_system::flush_status(caf::scoped_actor& self) {
  self->request(status_, std::chrono::seconds{5}, msg::flush_status{}).receive([](bool) {}, [](caf::error& e) {
    log::warn("system", "some statuses may not be written", {{"err", describe(to_failure(e))}});
  });
}

} // namespace veranda
