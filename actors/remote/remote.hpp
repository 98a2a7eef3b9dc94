#pragma once

#include "actors/common/env.hpp"
#include "messages/actor_handles.hpp"

#include <deque>
#include <filesystem>
#include <map>
#include <set>

namespace veranda {

struct remote_deps {
  runtime_env env;
  remote_identity identity;
  std::filesystem::path mirror;
  bool over_http = true;
  http_actor http;           ///< listings over http(s)
  std::function<void()> wake_http; ///< ends the http actor's current slice
  secret_keeper_actor secret_keeper; ///< null: Secrets need no fetching
  std::function<void()> wake_secret_keeper = [] {}; ///< ends its current slice
  std::chrono::milliseconds secret_patience{30'000}; ///< then what is known has to do
  host_keeper_actor hosts; ///< null: hosts are asked whenever it is time
  std::string host;        ///< that is asked; empty: a local path
  worker_pool_actor listers; ///< all others: by a blocking call
  worker_pool_actor pool;
  std::chrono::milliseconds listing_patience{std::chrono::hours{1}}; ///< with the wait for a connection; the listing itself has its engine's deadline
  std::chrono::milliseconds job_timeout{std::chrono::hours{24}}; ///< with the wait in the queue; the work itself has the pool's deadline
};

struct remote_state {
  static constexpr const char* name = "remote";
  ~remote_state(); ///< stops the job on the mirror, whatever ended the actor: its successor starts others

  struct waiter {
    msg::get_listing wanted;
    caf::typed_response_promise<msg::listing_ptr> promise;
  };
  struct waiting_sync {
    msg::run_sync order;
    caf::typed_response_promise<msg::sync_result_ptr> promise;
  };

  remote_deps deps;
  cell_ptr cell;
  std::map<std::string, std::string> members; ///< uid -> registered branch
  bool had_members = false;

  bool listing = false;
  std::chrono::steady_clock::time_point listing_began{};
  std::set<std::string> listing_branches;
  std::string listing_known; ///< the digest that the listing under way leaves the table out for
  bool entering = false; ///< waits until its host may be asked
  std::uint64_t probe = 0; ///< the listing under way decides for others at the host
  std::chrono::steady_clock::time_point asked_at{}; ///< when its host was
  cancel_token_ptr listing_token;
  std::vector<waiter> waiters;      ///< served by the listing under way
  std::vector<waiter> next_waiters; ///< need one that begins later

  std::chrono::steady_clock::time_point last_began{};
  std::set<std::string> last_branches;
  msg::listing_ptr last; ///< the last good listing, without its table
  std::weak_ptr<const ref_table> last_table;

  bool secrets_refused = false; ///< as the secret keeper was told

  bool mirror_busy = false;
  cancel_token_ptr job; ///< of the job on the mirror
  std::string job_uid;  ///< whose sync it is
  std::deque<waiting_sync> syncs;
};

/// One remote (`remote_actor`): lists its refs once for all who wait, and gives its mirror to one job at a time. When its last repository has left it removes the
/// mirror and ends normally.
remote_actor::behavior_type remote(remote_actor::stateful_pointer<remote_state> self, remote_deps deps);

} // namespace veranda
