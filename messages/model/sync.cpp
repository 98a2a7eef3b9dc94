#include "messages/model/sync.hpp"

namespace veranda {

std::string_view to_string(sync_cause c) noexcept {
  switch (c) {
  case sync_cause::start: return "start";
  case sync_cause::periodic: return "periodic";
  case sync_cause::cron: return "cron";
  case sync_cause::run_once: return "run_once";
  case sync_cause::user: return "user";
  case sync_cause::spec_changed: return "spec_changed";
  case sync_cause::secret_changed: return "secret_changed";
  case sync_cause::retry: return "retry";
  case sync_cause::health: return "health";
  case sync_cause::catch_up: return "catch_up";
  }
  return "start";
}

} // namespace veranda
