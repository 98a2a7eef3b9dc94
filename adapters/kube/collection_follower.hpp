#pragma once

#include "actors/logic/reflector.hpp"
#include "adapters/kube/api_client.hpp"
#include "adapters/kube/object_decoder.hpp"

#include <random>

namespace veranda::kube {

/// Does what a `reflector` says, on an `api_client`: follows one kind of objects in one scope. Never blocks; used on the client's thread, which drives the client
/// between the steps.
class collection_follower {
public:
  using time = std::chrono::steady_clock::time_point;
  /// The client must outlive it.
  collection_follower(api_client& client, const resource_type& type, api_scope scope, const logic::reflector_policy& policy, std::uint64_t seed);
  collection_follower(const collection_follower&) = delete;
  collection_follower& operator=(const collection_follower&) = delete;
  ~collection_follower();

  /// Takes in what has come and does what is due. Events are taken from the stream only while fewer than `max_events` wait to be taken.
  void step(time now, std::size_t max_events);
  /// What there is to tell, in order.
  [[nodiscard]] std::vector<logic::reflector_event> take_events() { return reflector_.take_events(); }
  /// Begins anew: everything is told again.
  void restart();
  [[nodiscard]] const logic::reflector& state() const noexcept { return reflector_; }
  [[nodiscard]] const api_scope& scope() const noexcept { return scope_; }
  /// When `step` has something to do though nothing came; nothing: not before something comes.
  [[nodiscard]] std::optional<time> due() const { return due_; }

private:
  void take_answer(time now);
  void take_watch(time now, std::size_t max_events);
  void act(time now);
  double draw() { return std::uniform_real_distribution<double>{0.0, 1.0}(rng_); }
  void abandon();

  api_client& client_;
  resource_type type_;
  api_scope scope_;
  logic::reflector reflector_;
  object_decoder decoder_;
  std::mt19937_64 rng_;
  /// What a call in flight hands its answer to; another when that call was abandoned.
  struct mailbox {
    std::optional<result<api_answer>> answer;
  };
  std::shared_ptr<mailbox> listing_;
  api_request asked_;
  api_client::call_id call_ = 0;
  std::unique_ptr<api_watch> watch_;
  std::optional<time> due_;
};

} // namespace veranda::kube
