#pragma once

#include "adapters/kube/api_client.hpp"
#include "adapters/kube/package_revs.hpp"

#include <nlohmann/json.hpp>

#include <deque>
#include <functional>
#include <map>
#include <set>

namespace veranda::test {

/// An API server for PackageRev objects, with its client: lists in pages, watches, creates, merge patches with preconditions, deletions that wait for finalizers, a
/// history that can be forgotten. It outlives its clients; each is the end of one process. Answers come in `run_for`.
class package_rev_server {
public:
  using json = nlohmann::json;
  using fault = std::function<std::optional<result<kube::api_answer>>(const kube::api_request&)>;

  std::map<object_key, json> objects;
  std::vector<std::string> asked; ///< about single objects: `POST`, `PATCH name`
  unsigned lists = 0, watches = 0;
  fault before; ///< instead of what would be answered, and nothing happens
  fault after;  ///< instead of what would be answered, though it happened
  unsigned serve = ~0U; ///< requests that are carried out before the process is held up
  bool cut = false;     ///< ends the watches that are open

  std::shared_ptr<kube::api_client> connect() { return std::make_shared<client>(*this); }

  // As others do.
  void edit(const object_key& key, const json& patch) {
    auto& o = objects.at(key);
    const json before_it = o;
    o.merge_patch(patch);
    store(key, before_it);
  }
  void remove(const object_key& key) {
    auto& o = objects.at(key);
    const json was = o;
    if (o["metadata"].contains("deletionTimestamp"))
      return;
    o["metadata"]["deletionTimestamp"] = "2026-03-10T10:00:00Z";
    store(key, was);
  }
  void put(const object_key& key, json metadata) {
    metadata["name"] = key.name;
    metadata["namespace"] = key.ns;
    metadata["uid"] = "uid-" + std::to_string(++uids_);
    objects[key] = {{"apiVersion", kube::package_revs().api_version()}, {"kind", kube::package_revs().kind}, {"metadata", std::move(metadata)}};
    store(key, json{});
  }
  /// Older positions are too old from now on.
  void forget() { forgotten_ = version_; }

private:
  struct change {
    std::int64_t version;
    std::string type;
    json object;
  };

  static bool labelled(const json& o) {
    return o.is_object() && o["metadata"].contains("labels") && o["metadata"]["labels"].contains(kube::package_rev_repository_label);
  }
  static bool empty_list(const json& metadata, const char* name) { return !metadata.contains(name) || metadata[name].empty(); }

  /// After a change of an object, which may be its end.
  void store(const object_key& key, const json& was) {
    auto& o = objects.at(key);
    auto& metadata = o["metadata"];
    if (o == was)
      return;
    metadata["resourceVersion"] = std::to_string(++version_);
    const bool ends = metadata.contains("deletionTimestamp") && empty_list(metadata, "finalizers");
    const bool before_it = labelled(was);
    const bool after_it = !ends && labelled(o);
    if (after_it)
      history_.push_back({version_, before_it ? "MODIFIED" : "ADDED", o});
    else if (before_it) {
      json last = was;
      last["metadata"]["resourceVersion"] = std::to_string(version_);
      history_.push_back({version_, "DELETED", std::move(last)});
    }
    if (ends)
      objects.erase(key);
  }

  static kube::api_answer answer(int status, const json& body) {
    kube::api_answer a;
    a.status = status;
    a.content_type = "application/json";
    a.body = body.dump();
    return a;
  }
  static kube::api_answer refuse(int status, const std::string& reason) {
    return answer(status, {{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Failure"}, {"message", "no"}, {"reason", reason}, {"code", status}});
  }
  static std::string query(const std::string& target, const std::string& name) {
    for (const char first : {'?', '&'})
      if (const auto at = target.find(first + name + "="); at != std::string::npos) {
        const auto from = at + name.size() + 2;
        auto value = target.substr(from, target.find('&', from) - from);
        for (auto slash = value.find("%2F"); slash != std::string::npos; slash = value.find("%2F"))
          value.replace(slash, 3, "/");
        return value;
      }
    return {};
  }

  result<kube::api_answer> carry_out(const kube::api_request& r) {
    if (before)
      if (auto instead = before(r))
        return *std::move(instead);
    auto out = act(r);
    if (after)
      if (auto instead = after(r))
        return *std::move(instead);
    return out;
  }

  kube::api_answer act(const kube::api_request& r) {
    const auto path = r.target.substr(0, r.target.find('?'));
    const std::string collection = "/packagerevs";
    const auto at = path.find(collection);
    const auto space = path.find("/namespaces/");
    const auto ns = space == std::string::npos ? std::string{} : path.substr(space + 12, path.find('/', space + 12) - space - 12);
    const auto name = path.size() > at + collection.size() ? path.substr(at + collection.size() + 1) : std::string{};
    if (r.method == kube::api_method::get && name.empty())
      return list(r, ns);
    asked.push_back(std::string{to_string(r.method)} + (name.empty() ? "" : " " + name));
    const auto body = json::parse(r.body, nullptr, false);
    if (r.method == kube::api_method::post)
      return create(ns, body);
    const object_key key{ns, name};
    const auto found = objects.find(key);
    if (found == objects.end())
      return refuse(404, "NotFound");
    if (r.method == kube::api_method::get)
      return answer(200, found->second);
    return r.method == kube::api_method::patch ? patch(key, body) : remove(key, body);
  }

  kube::api_answer list(const kube::api_request& r, const std::string& ns) {
    ++lists;
    json items = json::array();
    const auto limit = query(r.target, "limit").empty() ? objects.size() : std::stoul(query(r.target, "limit"));
    auto from = query(r.target, "continue");
    json metadata{{"resourceVersion", std::to_string(version_)}};
    for (const auto& [key, o] : objects) {
      if (!labelled(o) || (!ns.empty() && key.ns != ns) || (!from.empty() && to_string(key) <= from))
        continue;
      if (items.size() == limit) {
        metadata["continue"] = last_listed_;
        break;
      }
      last_listed_ = to_string(key);
      items.push_back(o);
    }
    return answer(200, {{"kind", "PackageRevList"}, {"apiVersion", kube::package_revs().api_version()}, {"metadata", metadata}, {"items", items}});
  }

  kube::api_answer create(const std::string& ns, json object) {
    const object_key key{ns, object["metadata"]["name"]};
    if (objects.contains(key))
      return refuse(409, "AlreadyExists");
    object["metadata"]["uid"] = "uid-" + std::to_string(++uids_);
    objects[key] = std::move(object);
    store(key, json{});
    return answer(201, objects.at(key));
  }

  kube::api_answer patch(const object_key& key, const json& wanted) {
    json next = objects.at(key);
    for (const auto* name : {"uid", "resourceVersion"})
      if (wanted.at("metadata").contains(name) && wanted.at("metadata").at(name) != next["metadata"][name])
        return refuse(409, "Conflict");
    const json was = next;
    next.merge_patch(wanted);
    objects[key] = next;
    store(key, was);
    const auto at = objects.find(key);
    next["metadata"]["resourceVersion"] = std::to_string(version_);
    return answer(200, at == objects.end() ? next : at->second);
  }

  kube::api_answer remove(const object_key& key, const json& options) {
    auto& o = objects.at(key);
    if (options.contains("preconditions") && options["preconditions"].contains("uid") && options["preconditions"]["uid"] != o["metadata"]["uid"])
      return refuse(409, "Conflict");
    remove(key);
    const auto at = objects.find(key);
    return at == objects.end() ? answer(200, {{"kind", "Status"}, {"apiVersion", "v1"}, {"status", "Success"}}) : answer(200, at->second);
  }

  class stream final : public kube::api_watch {
  public:
    stream(package_rev_server& server, const kube::api_request& r) : server_(server), position_(std::stoll("0" + query(r.target, "resourceVersion"))) {
      ++server_.watches;
      if (position_ < server_.forgotten_)
        why_ = failure{ec::stale, "too old", {}, {}, {}};
    }
    std::optional<api_event> next() override {
      if (why_)
        return std::nullopt;
      for (const auto& c : server_.history_)
        if (c.version > position_) {
          position_ = c.version;
          const auto type = c.type == "ADDED" ? api_event_type::added : c.type == "MODIFIED" ? api_event_type::modified : api_event_type::deleted;
          const auto& m = c.object["metadata"];
          return api_event{type, {{m["namespace"], m["name"]}, m["uid"], m["resourceVersion"], 1, c.object.dump(), {}}, {}};
        }
      return std::nullopt;
    }
    [[nodiscard]] kube::watch_state state() const override {
      return why_ ? kube::watch_state::failed : server_.cut ? kube::watch_state::closed : kube::watch_state::open;
    }
    [[nodiscard]] const std::optional<failure>& why() const override { return why_; }
    [[nodiscard]] std::size_t unread() const override {
      return why_ || server_.history_.empty() || server_.history_.back().version <= position_ ? 0 : 1;
    }

  private:
    package_rev_server& server_;
    std::int64_t position_;
    std::optional<failure> why_;
  };

  class client final : public kube::api_client {
  public:
    explicit client(package_rev_server& server) : server_(server) {}
    call_id start(kube::api_request request, callback done) override {
      waiting_.push_back({++last_, std::move(request), std::move(done)});
      return last_;
    }
    void cancel(call_id id) override {
      std::erase_if(waiting_, [id](const auto& w) { return w.id == id; });
    }
    void abandon() override {
      for (auto& one : std::exchange(waiting_, {}))
        one.done(failure{ec::shutting_down, "the program ends", {}, {}, {}});
    }
    std::unique_ptr<kube::api_watch> watch(kube::api_request r, const kube::resource_type&, std::chrono::seconds) override { return std::make_unique<stream>(server_, r); }
    void run_for(std::chrono::milliseconds) override {
      for (auto& one : std::exchange(waiting_, {})) {
        if (server_.serve == 0) {
          waiting_.push_back(std::move(one));
          continue;
        }
        server_.serve -= one.request.changes_something() ? 1 : 0;
        one.done(server_.carry_out(one.request));
      }
    }
    void wake() override {}
    [[nodiscard]] std::size_t active() const override { return waiting_.size(); }
    [[nodiscard]] const kube::client_counters& counters() const override { return counters_; }
    [[nodiscard]] const std::optional<failure>& credential_problem() const override { return problem_; }

  private:
    struct waiting {
      call_id id;
      kube::api_request request;
      callback done;
    };
    package_rev_server& server_;
    std::deque<waiting> waiting_;
    call_id last_ = 0;
    kube::client_counters counters_;
    std::optional<failure> problem_;
  };

  std::vector<change> history_;
  std::int64_t version_ = 100;
  std::int64_t forgotten_ = 0;
  std::int64_t uids_ = 0;
  std::string last_listed_;
};

} // namespace veranda::test
