#pragma once

#include <caf/actor_clock.hpp>
#include <caf/detail/type_traits.hpp>
#include <caf/response_handle.hpp>

#include <chrono>
#include <utility>

namespace veranda {

namespace detail {

/// `f`, called with the same arguments once the timer of the request is gone.
template <class Self, class F, class Arguments = typename caf::detail::get_callable_trait<F>::arg_types>
struct after_timer;
template <class Self, class F, class... Arguments>
struct after_timer<Self, F, caf::detail::type_list<Arguments...>> {
  Self* self;
  caf::message_id id;
  F f;
  void operator()(Arguments... arguments) {
    self->clock().cancel_request_timeout(self, id);
    f(std::forward<Arguments>(arguments)...);
  }
};

} // namespace detail

/// A question that was asked; `then` says what follows from the answer and from its failure, as of `caf::response_handle`.
template <class Self, class Response>
class asked {
public:
  asked(Self* self, Response response) : self_(self), response_(std::move(response)) {}

  template <class F, class G>
  void then(F f, G g) {
    response_.then(wrapped(std::move(f)), wrapped(std::move(g)));
  }

private:
  template <class F>
  detail::after_timer<Self, F> wrapped(F f) {
    return {self_, response_.id(), std::move(f)};
  }

  Self* self_;
  Response response_;
};

/// `self->request(to, patience, message...)` whose timer ends with the answer. CAF 0.17 keeps the timer of an answered request until it is due: some 190 bytes for each, for
/// hours where patience is measured in hours. Called by the actor itself.
template <class Self, class Handle, class Rep, class Period, class... Message>
auto ask(Self* self, const Handle& to, std::chrono::duration<Rep, Period> patience, Message&&... message) {
  auto response = self->request(to, patience, std::forward<Message>(message)...);
  return asked<Self, decltype(response)>{self, std::move(response)};
}

} // namespace veranda
