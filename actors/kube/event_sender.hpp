#pragma once

#include "actors/common/env.hpp"
#include "actors/logic/event_aggregator.hpp"
#include "adapters/kube/api_client.hpp"

#include <deque>
#include <map>

namespace veranda {

struct event_sender_policy {
  std::size_t max_queued = 1'000;
  std::size_t max_in_flight = 2;
  unsigned max_tries = 12;
  std::size_t max_remembered = 100'000; ///< objects
  std::chrono::milliseconds pause{10'000}; ///< after a failure that may pass
  logic::event_policy aggregation;
};

/// Sends core/v1 Events about Repository objects, one after the other, from a bounded queue: what is too much is dropped, oldest first. Events never hold up
/// anything. Used on the client's thread.
class event_sender {
public:
  using time = std::chrono::steady_clock::time_point;
  event_sender(const runtime_env& env, std::shared_ptr<kube::api_client> client, const event_sender_policy& policy) : env_(env), client_(std::move(client)), policy_(policy) {}

  /// An object's status becomes this. Something to say when its Ready condition changes its reason, or says something else of what is wrong, and when removals are held, or no
  /// longer are; `there` is what the object has of these conditions (`kube::told_conditions`), which counts while nothing was said about it here.
  void note(const object_key& key, const std::string& uid, const std::string& status_json, const std::string& there);
  /// Starts what may be started.
  void step(time now);
  /// When `step` has something to do though nothing came.
  [[nodiscard]] std::optional<time> due() const;
  [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
  [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }

private:
  struct entry {
    logic::event_record record;
    unsigned tries = 0;
    bool anew = false; ///< made again because the one to be changed was not there
  };
  /// What was said about an object: its Ready condition, and the message of its DeletionHeld, if it has one.
  struct told {
    std::string uid, status, reason, message, held;
  };
  [[nodiscard]] static told read(const std::string& uid, const std::string& status_json);
  void say(const logic::happening& what);
  void send(entry one);
  void ended(entry one, const result<kube::api_answer>& answer, const kube::api_request& request);

  runtime_env env_;
  std::shared_ptr<kube::api_client> client_;
  const event_sender_policy policy_;
  logic::event_aggregator aggregator_{policy_.aggregation};
  std::map<object_key, told> last_;
  std::deque<entry> queue_;
  std::size_t in_flight_ = 0;
  bool failed_ = false; ///< something that may pass: `step` pauses
  std::optional<time> paused_until_;
  std::string said_; ///< the failure that was last logged
  std::uint64_t dropped_ = 0;
  std::shared_ptr<event_sender*> self_ = std::make_shared<event_sender*>(this); ///< for callbacks, which may come later than the end
};

} // namespace veranda
