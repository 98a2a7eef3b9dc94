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
  std::chrono::milliseconds write_timeout{std::chrono::minutes{10}}; ///< `objects` has deadlines of its own, for each request: a second write while it works on the first helps nobody
  std::chrono::milliseconds retry_initial{200};
  std::chrono::milliseconds retry_max{30'000};
};

struct status_writer_state {
  static constexpr const char* name = "status-writer";
  status_writer_deps deps;
  cell_ptr cell;
  std::map<object_key, msg::publish_status> waiting; ///< the newest per repository
  std::deque<object_key> transitions;                ///< of `waiting`, oldest first: those whose Ready condition becomes another
  std::deque<object_key> refreshes;                  ///< the others; a key may be in both, and stay behind when it does not wait any more
  std::map<object_key, msg::publish_status> held;    ///< refused for a reason that is not in the status: tried again now and then
  struct flight {
    std::string uid;
    bool forgotten = false; ///< its repository went meanwhile
  };
  std::map<object_key, flight> in_flight;
  std::map<std::string, std::set<object_key>> refused; ///< by cause: held at least once since they were last written
  std::size_t unsaid = 0;                              ///< causes that no line in the log has named yet
  failure newest_cause;                                ///< of those
  struct said {
    std::string uid;
    std::string text;
    std::string ready; ///< status and reason of the Ready condition
  };
  std::map<object_key, said> last_sent; ///< last accepted, per repository
  std::vector<caf::typed_response_promise<bool>> flushes;
  unsigned failures = 0; ///< in a row
  std::uint64_t retry_epoch = 0;
  bool backing_off = false;
  bool release_armed = false; ///< of `held`
};

/// Writes statuses (`status_writer_actor`): coalesced per repository, transitions of Ready before mere refreshes, each kept in order of arrival, at most
/// `max_in_flight` under way, nothing written that was already said. A failed write is logged once per streak, retried with backoff, and replaced by a newer
/// status of the same repository. One that only its own object's state forbids (rights, a definition without status, others who never stop writing it) is
/// held, and tried again every `retry_max`, so that it holds up nobody; the log names each cause once, at most one line in that time. Nothing is kept of
/// repositories that are gone.
status_writer_actor::behavior_type status_writer(status_writer_actor::stateful_pointer<status_writer_state> self, status_writer_deps deps);

} // namespace veranda
