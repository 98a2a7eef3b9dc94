#pragma once

#include "messages/model/object.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

namespace veranda::logic {

/// Something that happened to an object and that people should hear of.
struct happening {
  object_key key;
  std::string uid;
  bool warning = false;
  std::string reason;
  std::string message;
};

/// A core/v1 Event as it is to stand at the API server.
struct event_record {
  std::string name;
  happening what; ///< `message` may be a combined one
  wall_time first;
  wall_time last;
  std::uint32_t count = 1; ///< above 1: the one called `name` is there, and is to be changed
};

struct event_policy {
  std::size_t max_similar = 10;                          ///< different messages of one reason; from this one on they are combined
  std::chrono::seconds similar_within{600};              ///< of each other
  double burst = 25;                                     ///< of one object at once
  std::chrono::seconds refill{300};                      ///< until it may have one more
  std::size_t max_remembered = 4096;                     ///< of each kind of memory; the least recently used is forgotten
};

/// Keeps events few, by the rules of client-go: what is said again raises a count, many different messages of one reason become one, and no object gets more than a
/// burst and one in a while. Of what was said it keeps digests. Pure.
class event_aggregator {
public:
  explicit event_aggregator(const event_policy& policy = {}) : policy_(policy) {}
  /// What to write about it; nothing when the object has had too many.
  [[nodiscard]] std::optional<event_record> take(const happening& h, wall_time now);

private:
  using digest = std::size_t; ///< stands for an object, a reason of it, or a message
  /// A map that forgets what was not used for longest.
  template <class Value>
  class memory {
  public:
    explicit memory(const event_policy& policy) : policy_(policy) {}
    Value& of(digest key) {
      if (const auto at = index_.find(key); at != index_.end()) {
        order_.splice(order_.begin(), order_, at->second);
        return order_.front().second;
      }
      if (order_.size() >= policy_.max_remembered) {
        index_.erase(order_.back().first);
        order_.pop_back();
      }
      order_.emplace_front(key, Value{});
      index_.emplace(key, order_.begin());
      return order_.front().second;
    }

  private:
    const event_policy& policy_;
    std::list<std::pair<digest, Value>> order_;
    std::unordered_map<digest, typename std::list<std::pair<digest, Value>>::iterator> index_;
  };
  struct similar {
    std::set<digest> messages;
    std::optional<wall_time> last;
  };
  struct said {
    wall_time first; ///< names the event
    std::uint32_t count = 0;
  };
  struct allowance {
    double tokens = 0;
    std::optional<wall_time> since;
  };

  [[nodiscard]] bool combines(digest group, const std::string& message, wall_time now);
  [[nodiscard]] bool allowed(digest object, wall_time now);

  const event_policy policy_;
  memory<similar> similar_{policy_};
  memory<said> said_{policy_};
  memory<allowance> allowances_{policy_};
};

} // namespace veranda::logic
