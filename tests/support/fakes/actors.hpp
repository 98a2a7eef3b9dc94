#pragma once

#include "actors/workers/worker.hpp"
#include "messages/actor_handles.hpp"
#include "messages/errors.hpp"
#include "tests/support/fakes/git_world.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <deque>

namespace veranda::test {

// Scripted neighbours: each answers at once, later (in a job of its own, so that other actors' jobs may come between), or when the test says so.

/// A promise that may be kept outside of its actor's handlers: CAF's own asks the actor for its present context, which a test has none of.
template <class T>
class kept_promise {
public:
  explicit kept_promise(caf::typed_response_promise<T> promise) {
    const caf::response_promise& p = promise;
    whom_ = p.source();
    id_ = p.id();
  }
  void deliver(result<T> outcome) {
    if (auto whom = std::exchange(whom_, nullptr))
      whom->enqueue(nullptr, id_.response_id(), outcome ? caf::make_message(std::move(*outcome)) : caf::make_message(to_error(outcome.error())), nullptr);
  }

private:
  caf::strong_actor_ptr whom_;
  caf::message_id id_;
};

/// Listings over http.
struct http_script {
  struct held_listing {
    msg::list_http wanted;
    kept_promise<msg::listing_ptr> promise;
  };
  git_world* world = nullptr;
  bool hold = false;
  std::deque<held_listing> held;
  cancel_token_ptr waiting; ///< the listing with this token has no connection yet

  void answer(held_listing& one) {
    auto listed = world->list(one.wanted.remote.url, one.wanted.prefixes, one.wanted.known_digest);
    if (listed)
      one.promise.deliver(msg::listing_ptr{std::make_shared<const git::listing>(std::move(*listed))});
    else
      one.promise.deliver(listed.error());
  }
  /// Answers what is held, with what the remotes hold now.
  void release() {
    hold = false;
    for (auto& one : std::exchange(held, {}))
      answer(one);
  }
};

http_actor::behavior_type fake_http(http_actor::pointer self, std::shared_ptr<http_script> script);

/// Workers. Watches that nobody breaks a rule of the house: one job on a mirror, one sync of a repository at a time (those that are cancelled do not count).
struct worker_script {
  struct held_job {
    msg::job job;
    kept_promise<msg::job_result> promise;
  };
  std::shared_ptr<const job_tools> tools;
  std::function<std::optional<result<msg::job_result>>(const msg::job&)> instead; ///< of running the job; nothing: run it
  bool hold = false;   ///< every job but the sweep of the start
  bool throws = false; ///< the next sync ends its worker
  std::deque<held_job> held;
  std::vector<std::string> done; ///< `sync team/a`, `list URL`, `remove_mirror`, ...
  std::vector<msg::job> under_way;
  std::size_t most_under_way = 0;
  std::vector<std::string> broken_rules;

  void begin(const msg::job& job) {
    for (const auto& other : under_way) {
      if (other.cancel->stop || job.cancel->stop)
        continue;
      if (!job.mirror.empty() && other.mirror == job.mirror)
        broken_rules.push_back("two jobs on the mirror " + job.mirror);
      if (job.kind == msg::job_kind::sync && other.kind == msg::job_kind::sync && other.sync.uid == job.sync.uid)
        broken_rules.push_back("two syncs of " + to_string(job.sync.key));
    }
    under_way.push_back(job);
    most_under_way = std::max(most_under_way, under_way.size());
  }
  void end(held_job& one) {
    std::erase_if(under_way, [&](const msg::job& j) { return j.id == one.job.id && j.cancel == one.job.cancel; });
    constexpr const char* names[] = {"list", "sync", "remove_mirror", "sweep_mirrors"};
    done.push_back(std::string{names[static_cast<unsigned>(one.job.kind)]} + " " +
                   (one.job.kind == msg::job_kind::sync ? to_string(one.job.sync.key) : one.job.remote.url));
    auto scripted = instead ? instead(one.job) : std::nullopt;
    one.promise.deliver(scripted ? std::move(*scripted) : run_job(one.job, *tools, [](const std::string&, const std::string&) {}));
  }
  void release() {
    hold = false;
    for (auto& one : std::exchange(held, {}))
      end(one);
  }
  /// Ends the first job that is held.
  void release_one() {
    auto one = std::move(held.front());
    held.pop_front();
    end(one);
  }
  [[nodiscard]] std::size_t count(const std::string& what) const {
    return static_cast<std::size_t>(std::count_if(done.begin(), done.end(), [&](const std::string& d) { return d.starts_with(what); }));
  }
};

worker_actor::behavior_type fake_worker(worker_actor::pointer self, std::shared_ptr<worker_script> script);

/// The embedded object store: holds one text per object. Failures are scripted.
struct store_script {
  struct held_write {
    msg::write_object wanted;
    kept_promise<msg::stored_object_ptr> promise;
  };
  std::map<object_key, store::stored_object> objects; ///< of every resource
  std::map<object_key, std::string> statuses;
  std::vector<msg::write_object> writes; ///< in order, failed ones too
  std::function<std::optional<failure>(const msg::write_object&)> fail;
  bool hold = false;
  std::deque<held_write> held;
  std::int64_t version = 0;

  void put(const object_key& key, const std::string& uid) { objects[key] = {"repositories.config.porch.kpt.dev", key, uid, ++version, 1, "{}"}; }

  result<msg::stored_object_ptr> perform(const msg::write_object& m) {
    writes.push_back(m);
    if (fail)
      if (auto f = fail(m))
        return *f;
    const auto at = objects.find(m.key);
    if (m.operation == msg::object_operation::create) {
      if (at != objects.end())
        return failure{ec::conflict, "exists already", to_string(m.key), {}, {}};
      objects[m.key] = {m.resource, m.key, "uid-" + m.key.name, ++version, 1, m.json};
      return msg::stored_object_ptr{std::make_shared<const store::stored_object>(objects[m.key])};
    }
    if (at == objects.end())
      return failure{ec::not_found, "no such object", to_string(m.key), {}, {}};
    if (!m.uid.empty() && m.uid != at->second.uid)
      return failure{ec::conflict, "another uid", to_string(m.key), {}, {}};
    auto stored = std::make_shared<store::stored_object>(at->second);
    if (m.operation == msg::object_operation::remove)
      objects.erase(at);
    else if (m.operation == msg::object_operation::update_status)
      statuses[m.key] = m.json;
    else
      at->second.json = stored->json = m.json;
    return msg::stored_object_ptr{std::move(stored)};
  }
  void answer(held_write& one) {
    one.promise.deliver(perform(one.wanted));
  }
  void release() {
    hold = false;
    for (auto& one : std::exchange(held, {}))
      answer(one);
  }
};

object_store_actor::behavior_type fake_object_store(object_store_actor::pointer self, std::shared_ptr<store_script> script);

/// A supervisor that only listens.
struct supervisor_script {
  std::vector<std::string> heard; ///< `list 2`, `added team/a`, `deleted team/a`, `secret team/key`, `first team/a ok`
  std::vector<repository_object> listed;
};

supervisor_actor::behavior_type fake_supervisor(supervisor_actor::pointer, std::shared_ptr<supervisor_script> script);

} // namespace veranda::test
