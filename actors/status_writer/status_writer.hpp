#pragma once

#include "actors/common/env.hpp"
#include "messages/actor_handles.hpp"

#include <deque>
#include <map>
#include <set>

namespace veranda {

struct status_writer_deps {
  runtime_env env;
  object_store_actor objects;
  /// JSON of a status (a codec's function).
  std::function<std::string(const repository_status&)> encode;
  std::string resource;
  std::function<void()> wake; ///< called after each request to `objects`; may be empty
  std::size_t max_in_flight = 32;
  std::chrono::milliseconds write_timeout{10'000};
  std::chrono::milliseconds retry_initial{200};
  std::chrono::milliseconds retry_max{30'000};
};

struct status_writer_state {
  static constexpr const char* name = "status-writer";
  status_writer_deps deps;
  cell_ptr cell;
  std::map<object_key, msg::publish_status> waiting; ///< the newest per repository
  std::deque<object_key> order;                      ///< of `waiting`, oldest first
  std::set<object_key> in_flight;
  std::map<object_key, std::string> last_sent; ///< uid and status last accepted, per repository
  std::vector<caf::typed_response_promise<bool>> flushes;
  unsigned failures = 0; ///< in a row
  std::uint64_t retry_epoch = 0;
  bool backing_off = false;
};

/// Writes statuses (`status_writer_actor`): coalesced per repository, transitions kept in order of arrival, at most `max_in_flight` under way, nothing written that was already
/// said. A failed write is logged once per streak, retried with backoff, and replaced by a newer status of the same repository.
status_writer_actor::behavior_type status_writer(status_writer_actor::stateful_pointer<status_writer_state> self, status_writer_deps deps);

} // namespace veranda
