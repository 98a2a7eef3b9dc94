#pragma once

#include "actors/common/log.hpp"
#include "messages/errors.hpp"

#include <caf/exit_reason.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/skip.hpp>

#include <string>

namespace veranda {

/// What every actor sets first: unknown messages are dropped with a log line, and an exception (a bug) ends the actor with its text logged once.
template <class Self>
void install_default_handlers(Self* self, const char* kind) {
  self->set_default_handler([kind](caf::scheduled_actor*, caf::message_view&) -> caf::result<caf::message> {
    log::warn(kind, "dropped a message of a type this actor does not know");
    return caf::make_error(caf::sec::unexpected_message);
  });
  self->set_exception_handler([kind](caf::scheduled_actor*, std::exception_ptr& thrown) -> caf::error {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      log::error(kind, "an exception ended this actor", {{"err", e.what()}});
      return to_error({ec::internal, e.what(), {}, {}, {}});
    } catch (...) {
      log::error(kind, "an exception of unknown type ended this actor");
      return to_error({ec::internal, "unknown exception", {}, {}, {}});
    }
  });
}

/// An exit message that overtakes what waits in the mailbox.
template <class Handle>
void exit_now(const Handle& handle, caf::error reason) {
  if (handle)
    handle->eq_impl(caf::make_message_id(caf::message_priority::high), nullptr, nullptr, caf::exit_msg{handle->address(), std::move(reason)});
}

} // namespace veranda
