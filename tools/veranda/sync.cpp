#include "tools/veranda/commands.hpp"

#include "messages/model/repository.hpp"

#include <algorithm>
#include <iostream>
#include <map>
#include <thread>

namespace veranda::cli {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

std::string nanosecond_stamp() {
  const auto now = std::chrono::system_clock::now();
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  auto digits = std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now - whole).count());
  digits.insert(0, 9 - digits.size(), '0');
  auto stamp = format_rfc3339(now);
  stamp.insert(stamp.size() - 1, "." + digits);
  return stamp;
}

std::string shown(const object_key& key) { return "repository.config.porch.kpt.dev/" + key.name; }

struct ready_state {
  bool known = false;
  bool ready = false;
  std::string text;
};

ready_state ready_of(const json& object) {
  ready_state s;
  const auto status = object.value("status", json::object());
  if (status.contains("conditions") && status["conditions"].is_array())
    for (const auto& c : status["conditions"])
      if (text_at(c, {"type"}) == "Ready") {
        s.known = text_at(c, {"reason"}) != "Reconciling";
        s.ready = text_at(c, {"status"}) == "True";
        s.text = text_at(c, {"message"});
      }
  return s;
}

/// Requests syncs and, when asked, follows each object until its request was handled.
class sync_command {
public:
  sync_command(const globals& g, const sync_options& o, std::chrono::nanoseconds timeout)
      : g_(g), o_(o), client_(g.server), deadline_(steady::now() + timeout), kind_(*find_kind("repositories")) {}

  int run() {
    auto keys = targets();
    if (!keys)
      return fail(keys.error());
    if (keys->empty()) {
      std::cerr << "No repositories found.\n";
      return exit_ok;
    }
    for (const auto& key : *keys)
      request(key);
    if (o_.wait)
      follow();
    return failed_ ? exit_error : exit_ok;
  }

private:
  result<std::vector<object_key>> targets() {
    std::vector<object_key> keys;
    if (!o_.all) {
      for (const auto& name : o_.names)
        keys.push_back({g_.ns, name});
      return keys;
    }
    const auto text = client_.get(object_path(kind_, g_.all_namespaces ? "" : g_.ns));
    if (!text)
      return text.error();
    const auto list = parse_json(*text);
    for (const auto& item : list.value("items", json::array()))
      keys.push_back({text_at(item, {"metadata", "namespace"}), text_at(item, {"metadata", "name"})});
    return keys;
  }

  void request(const object_key& key) {
    const auto stamp = nanosecond_stamp();
    json annotations{{std::string{api_names::sync_requested_annotation}, stamp},
                     {std::string{api_names::sync_mode_annotation}, o_.full ? json("full") : json(nullptr)}};
    const json patch{{"metadata", {{"annotations", std::move(annotations)}}}};
    const auto a = client_.call("PATCH", object_path(kind_, key.ns, key.name), "application/json", patch.dump(), "application/merge-patch+json");
    if (!a || a->status != 200) {
      fail(a ? failure_of(*a, key.name) : a.error());
      failed_ = true;
      return;
    }
    waiting_[key] = stamp;
    if (!o_.wait)
      std::cout << shown(key) << " sync requested\n";
  }

  /// Looks at all objects that are waited for with one request per round.
  void follow() {
    auto pause = 100ms;
    while (!waiting_.empty()) {
      if (const auto ok = look(); !ok) {
        fail(ok.error());
        failed_ = true;
        return;
      }
      if (waiting_.empty())
        return;
      if (steady::now() >= deadline_) {
        for (const auto& [key, _] : waiting_)
          std::cerr << "error: " << shown(key) << ": the sync was not finished in " << o_.timeout << "; it goes on: veranda describe repository " << key.name
                    << '\n';
        failed_ = true;
        return;
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 3 / 2, 1000ms);
    }
  }

  result<void> look() {
    std::vector<json> objects;
    std::vector<object_key> gone;
    if (waiting_.size() == 1) {
      const auto key = waiting_.begin()->first;
      const auto text = client_.get(object_path(kind_, key.ns, key.name));
      if (!text)
        return text.error();
      objects.push_back(parse_json(*text));
    } else {
      const auto text = client_.get(object_path(kind_, g_.all_namespaces ? "" : g_.ns));
      if (!text)
        return text.error();
      for (auto& item : parse_json(*text).value("items", json::array()))
        objects.push_back(std::move(item));
    }
    std::map<object_key, const json*> by_key;
    for (const auto& o : objects)
      by_key[{text_at(o, {"metadata", "namespace"}), text_at(o, {"metadata", "name"})}] = &o;
    for (auto at = waiting_.begin(); at != waiting_.end();)
      at = settled(at->first, at->second, by_key) ? waiting_.erase(at) : std::next(at);
    return {};
  }

  bool settled(const object_key& key, const std::string& stamp, const std::map<object_key, const json*>& by_key) {
    const auto found = by_key.find(key);
    if (found == by_key.end()) {
      std::cerr << "error: " << shown(key) << ": it was deleted\n";
      failed_ = true;
      return true;
    }
    const auto state = ready_of(*found->second);
    const auto handled = text_at(*found->second, {"status", "lastHandledSyncRequest"});
    if (!state.known || handled < stamp) // stamps of one form order as their times
      return false;
    if (!state.ready)
      failed_ = true;
    (state.ready ? std::cout : std::cerr) << (state.ready ? "" : "error: ") << shown(key) << ": " << printable(state.text) << '\n';
    return true;
  }

  const globals& g_;
  const sync_options& o_;
  api_client client_;
  steady::time_point deadline_;
  const cli_kind& kind_;
  std::map<object_key, std::string> waiting_;
  bool failed_ = false;
};

} // namespace

int run_sync(const globals& g, const sync_options& o) {
  if (o.all == !o.names.empty())
    return usage("name the repositories to sync, or give --all");
  if (!o.names.empty() && g.all_namespaces)
    return usage("-A goes with --all");
  const auto timeout = parse_go_duration(o.timeout);
  if (!timeout || timeout->count() <= 0)
    return usage("--timeout: must be a duration like 90s or 10m");
  return sync_command{g, o, *timeout}.run();
}

} // namespace veranda::cli
