#include "actors/api/api_bridge.hpp"

#include "actors/api/explanation_json.hpp"

#include "messages/errors.hpp"

#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>

#include <nlohmann/json.hpp>

namespace veranda {

namespace {

constexpr std::chrono::seconds patience{5};

class actor_object_writer final : public api::object_writer {
public:
  actor_object_writer(caf::actor_system& system, object_store_actor objects) : system_(system), objects_(std::move(objects)) {}

  result<store::stored_object> create(const std::string& resource, const std::string& json) override {
    return write({msg::object_operation::create, resource, {}, {}, json});
  }
  result<store::stored_object> update(const std::string& resource, const std::string& json) override {
    return write({msg::object_operation::update, resource, {}, {}, json});
  }
  result<store::stored_object> merge_patch(const std::string& resource, const object_key& key, const std::string& patch) override {
    return write({msg::object_operation::merge_patch, resource, key, {}, patch});
  }
  result<store::stored_object> remove(const std::string& resource, const object_key& key) override {
    return write({msg::object_operation::remove, resource, key, {}, {}});
  }

private:
  result<store::stored_object> write(msg::write_object m) {
    caf::scoped_actor self{system_};
    result<store::stored_object> outcome = failure{ec::internal, "no answer", {}, {}, {}};
    self->request(objects_, patience, std::move(m))
      .receive([&](const msg::stored_object_ptr& stored) { outcome = *stored; }, [&](caf::error& e) { outcome = to_failure(e); });
    return outcome;
  }

  caf::actor_system& system_;
  object_store_actor objects_;
};

nlohmann::json to_json(const sync_run& run) {
  return {{"syncID", run.sync_id},
          {"cause", to_string(run.cause)},
          {"started", format_rfc3339(run.started)},
          {"durationSeconds", static_cast<double>(run.duration.count()) / 1000.0},
          {"ok", run.ok},
          {"unchanged", run.unchanged},
          {"error", run.error},
          {"added", run.stats.external_only},
          {"removed", run.stats.cached_only},
          {"changed", run.stats.changed}};
}

nlohmann::json to_json(const msg::repository_state_view& view) {
  const auto& d = view.durable;
  nlohmann::json state{{"phase", view.phase},
                       {"uid", d.uid},
                       {"fence", d.fence},
                       {"basis", d.basis.digest},
                       {"commit", d.basis.commit},
                       {"revisions", d.revisions},
                       {"packages", d.packages},
                       {"lastError", d.last_error},
                       {"badCount", d.bad_count},
                       {"nextSyncCause", view.status.next_sync_cause}};
  if (!view.place.empty())
    state["place"] = view.place;
  if (d.next_sync)
    state["nextSync"] = format_rfc3339(*d.next_sync);
  if (d.last_success)
    state["lastSuccess"] = format_rfc3339(*d.last_success);
  if (d.hold)
    state["deletionHold"] = {{"count", d.hold->count}, {"total", d.hold->total}, {"since", format_rfc3339(d.hold->since)}, {"cause", d.hold->cause}, {"permit", d.hold->permit}};
  state["runs"] = nlohmann::json::array();
  for (const auto& run : d.runs)
    state["runs"].push_back(to_json(run));
  state["bad"] = nlohmann::json::array();
  for (const auto& item : d.bad)
    state["bad"].push_back({{"what", item.what}, {"reason", item.reason}, {"excluded", item.excluded}});
  return state;
}

object_key key_of(const std::string& name) {
  const auto slash = name.find('/');
  return slash == std::string::npos ? object_key{"default", name} : object_key{name.substr(0, slash), name.substr(slash + 1)};
}

} // namespace

std::shared_ptr<api::object_writer> make_object_writer(caf::actor_system& system, object_store_actor objects) {
  return std::make_shared<actor_object_writer>(system, std::move(objects));
}

result<std::string> add_deep_state(caf::actor_system& system, const supervisor_actor& supervisor, const std::string& name, std::string dump) {
  if (name.empty())
    return failure{ec::invalid_spec, "a deep dump needs the name of one repository", {}, "name", {}};
  caf::scoped_actor self{system};
  result<std::string> outcome = failure{ec::internal, "no answer", {}, {}, {}};
  self->request(supervisor, patience, key_of(name), msg::get_state{})
    .receive(
      [&](const msg::repository_state_view& view) {
        auto whole = nlohmann::ordered_json::parse(dump);
        whole["state"] = to_json(view);
        outcome = whole.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      },
      [&](caf::error& e) { outcome = to_failure(e); });
  return outcome;
}

result<std::string> explain_repository(caf::actor_system& system, const supervisor_actor& supervisor, const mirror_shelf& mirrors, const object_key& key, wall_time now) {
  caf::scoped_actor self{system};
  result<std::string> outcome = failure{ec::internal, "no answer", {}, {}, {}};
  self->request(supervisor, patience, key, msg::get_state{})
    .receive([&](const msg::repository_state_view& view) { outcome = explanation_json(key, view, mirrors.find(view.remote), now); }, [&](caf::error& e) { outcome = to_failure(e); });
  return outcome;
}

} // namespace veranda
