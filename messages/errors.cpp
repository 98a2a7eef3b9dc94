#include "messages/errors.hpp"

#include "messages/local.hpp"

#include <caf/atom.hpp>
#include <caf/exit_reason.hpp>
#include <caf/message.hpp>
#include <caf/sec.hpp>

namespace veranda {

namespace {
constexpr auto category = caf::atom("veranda");
}

caf::error to_error(const failure& f) {
  return caf::error{static_cast<std::uint8_t>(f.code), category, caf::make_message(f)};
}

failure to_failure(const caf::error& e) {
  if (!e) // a none error has no code to ask for
    return {ec::cancelled, "the actor ended", {}, {}, {}};
  if (e.category() == category && e.context().match_elements<failure>())
    return e.context().get_as<failure>(0);
  if (e == caf::sec::request_timeout)
    return {ec::timed_out, "an actor did not answer in time", {}, {}, {}};
  if (e == caf::sec::request_receiver_down || e == caf::exit_reason::user_shutdown || e == caf::exit_reason::kill)
    return {ec::cancelled, "the actor that was asked has ended", {}, {}, {}};
  return {ec::internal, "an actor failed with error code " + std::to_string(e.code()), {}, {}, {}};
}

} // namespace veranda
