#pragma once

#include "actors/common/env.hpp"
#include "actors/logic/host_table.hpp"
#include "messages/actor_handles.hpp"

#include <deque>
#include <map>

namespace veranda {

struct host_keeper_deps {
  runtime_env env;
  logic::host_rules rules;
};

struct host_keeper_state {
  static constexpr const char* name = "hosts";
  struct held_visitor {
    msg::enter_host who;
    caf::typed_response_promise<msg::host_pass> promise;
  };
  struct troubled_host {
    cell_ptr cell; ///< kind `host`, one for each that is down or wants to be left alone
    std::uint64_t epoch = 0;
    std::optional<steady_time> armed; ///< the timer of this epoch
    std::deque<held_visitor> held;
  };

  host_keeper_deps deps;
  cell_ptr cell;
  std::optional<logic::host_table> table;
  std::map<std::string, troubled_host> troubled;
};

/// What is known of each host (`host_keeper_actor`): decides by logic::host_table, holds those who wait for a probe, and shows hosts that are down or want to be left alone as
/// cells of kind `host`. What it knows is lost with it and learned anew.
host_keeper_actor::behavior_type host_keeper(host_keeper_actor::stateful_pointer<host_keeper_state> self, host_keeper_deps deps);

} // namespace veranda
