#include "tools/veranda/commands.hpp"

#include "messages/model/repository.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <thread>

namespace veranda::cli {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds shortest_pause{50};
constexpr std::chrono::milliseconds longest_pause{1000};
constexpr const char* gone = "it was deleted";

std::string nanosecond_stamp() {
  const auto now = std::chrono::system_clock::now();
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  auto digits = std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now - whole).count());
  digits.insert(0, 9 - digits.size(), '0');
  auto stamp = format_rfc3339(now);
  stamp.insert(stamp.size() - 1, "." + digits);
  return stamp;
}

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
    auto keys = find_repositories(client_, g_, o_.of);
    if (!keys)
      return fail(keys.error());
    if (keys->empty()) {
      std::cerr << "No repositories found.\n";
      return exit_ok;
    }
    for (const auto& key : *keys)
      if (o_.allow_deletion)
        release(key);
      else
        request(key, {});
    if (o_.allow_deletion && asked_ == 0 && !failed_)
      std::cerr << "No removals are held.\n";
    if (o_.wait)
      follow();
    return failed_ ? exit_error : exit_ok;
  }

private:
  /// Allows what the object's status says is held now, and nothing that is held later.
  void release(const object_key& key) {
    const auto text = client_.get(object_path(kind_, key.ns, key.name));
    if (!text) {
      fail(text.error());
      failed_ = true;
      return;
    }
    const auto permit = text_at(parse_json(*text), {"status", "deletionPermit"});
    if (!permit.empty())
      request(key, permit);
    else if (!o_.of.names.empty())
      report(key, true, "no removals are held");
  }

  void request(const object_key& key, const std::string& permit) {
    if (!o_.at.empty())
      return plan(key);
    const auto stamp = nanosecond_stamp();
    json annotations{{std::string{api_names::sync_requested_annotation}, stamp},
                     {std::string{api_names::sync_mode_annotation}, o_.full ? json("full") : json(nullptr)}};
    if (!permit.empty())
      annotations[std::string{api_names::allow_deletion_annotation}] = permit;
    const auto patched = patch_repository(client_, key, {{"metadata", {{"annotations", std::move(annotations)}}}});
    if (!patched) {
      fail(patched.error());
      failed_ = true;
      return;
    }
    waiting_[key] = stamp;
    ++asked_;
    if (version_.empty())
      version_ = text_at(*patched, {"metadata", "resourceVersion"});
    if (!o_.wait)
      std::cout << shown(g_, key) << " sync requested" << (permit.empty() ? "" : ", " + permit.substr(0, permit.find('-')) + " removals allowed") << '\n';
  }

  /// A one-time sync beside the schedule: `spec.sync.runOnceAt`.
  void plan(const object_key& key) {
    const auto patched = patch_repository(client_, key, {{"spec", {{"sync", {{"runOnceAt", o_.at}}}}}});
    if (patched)
      std::cout << shown(g_, key) << " sync planned for " << o_.at << '\n';
    else
      fail(patched.error());
    failed_ = failed_ || !patched;
  }

  /// Follows what is waited for by a watch from the first request's version on: it tells every change since, then each as it comes.
  void follow() {
    auto pause = shortest_pause;
    while (!waiting_.empty() && steady::now() < deadline_) {
      const auto began = steady::now();
      const auto ended = look_and_watch();
      if (!ended && class_of(ended.error().code) != error_class::retry) {
        fail(ended.error());
        failed_ = true;
        return;
      }
      if (waiting_.empty())
        return;
      if (steady::now() - began > longest_pause) { // a watch that worked was ended: go on at once
        pause = shortest_pause;
        continue;
      }
      std::this_thread::sleep_for(std::min<steady::duration>(pause, deadline_ - steady::now()));
      pause = std::min(pause * 2, longest_pause);
    }
    for (const auto& [key, _] : std::map{waiting_})
      report(key, true, "the sync was not finished in " + o_.timeout + "; it goes on: veranda describe repository " + key.name + " -n " + key.ns);
  }

  result<void> look_and_watch() {
    if (version_.empty())
      if (const auto ok = look(); !ok)
        return ok;
    return waiting_.empty() ? result<void>{} : watch();
  }

  [[nodiscard]] std::string collection() const { return object_path(kind_, g_.all_namespaces ? "" : g_.ns); }

  /// Where every object stands, when the position of the watch is too old to be continued.
  result<void> look() {
    const auto text = client_.get(collection());
    if (!text)
      return text.error();
    const auto list = parse_json(*text);
    version_ = text_at(list, {"metadata", "resourceVersion"});
    std::map<object_key, json> by_key;
    for (const auto& o : list.value("items", json::array()))
      by_key.emplace(key_of(o), o);
    for (const auto& [key, stamp] : std::map{waiting_})
      if (const auto found = by_key.find(key); found == by_key.end())
        report(key, true, gone);
      else
        judge(key, found->second);
    return {};
  }

  result<void> watch() {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - steady::now());
    auto path = collection() + "?watch=true&allowWatchBookmarks=true&resourceVersion=" + version_;
    if (waiting_.size() == 1)
      path += "&fieldSelector=" + encode("metadata.name=" + waiting_.begin()->first.name);
    return client_.watch(path, "application/json", [this](const std::string& line) { return take(parse_json(line)); }, std::max(left, 1ms));
  }

  /// One event of the watch; false when nothing is waited for any more.
  bool take(const json& event) {
    const auto type = text_at(event, {"type"});
    const auto object = event.is_object() ? event.value("object", json::object()) : json::object();
    version_ = type == "ERROR" ? std::string{} : text_at(object, {"metadata", "resourceVersion"});
    if (type == "DELETED" && waiting_.contains(key_of(object)))
      report(key_of(object), true, gone);
    else if (type == "ADDED" || type == "MODIFIED")
      judge(key_of(object), object);
    return !waiting_.empty() && !version_.empty();
  }

  /// Reports the object when its request has been handled.
  void judge(const object_key& key, const json& object) {
    const auto waited = waiting_.find(key);
    if (waited == waiting_.end())
      return;
    const auto state = ready_of(object);
    if (state.known && text_at(object, {"status", "lastHandledSyncRequest"}) >= waited->second) // stamps of one form order as their times
      report(key, !state.ready, state.text);
  }

  void report(const object_key& key, bool bad, const std::string& text) {
    failed_ = failed_ || bad;
    (bad ? std::cerr << "error: " : std::cout) << shown(g_, key) << ": " << printable(text) << std::endl;
    waiting_.erase(key);
  }

  const globals& g_;
  const sync_options& o_;
  api_client client_;
  steady::time_point deadline_;
  const cli_kind& kind_;
  std::map<object_key, std::string> waiting_; ///< with the time stamp of the request
  std::string version_;                       ///< of the last change that was seen; empty: not known
  std::size_t asked_ = 0;                     ///< requests made
  bool failed_ = false;
};

} // namespace

int run_sync(const globals& g, const sync_options& o) {
  const auto timeout = parse_go_duration(o.timeout);
  if (!timeout || timeout->count() <= 0)
    return usage("--timeout: must be a duration like 90s or 10m");
  auto plain = o;
  if (!o.at.empty()) {
    if (o.wait || o.full || o.allow_deletion)
      return usage("--at goes with none of --wait, --full and --allow-deletion: the sync runs by itself when its time comes");
    const auto at = parse_rfc3339(o.at);
    if (!at)
      return usage("--at: must be a time like 2030-01-31T18:00:00Z");
    if (*at <= std::chrono::system_clock::now())
      return usage("--at: " + o.at + " is past; without --at the sync runs now");
    plain.at = format_rfc3339(*at);
  }
  if (const auto wrong = plain_selection(g, plain.of))
    return usage(*wrong);
  return sync_command{g, plain, *timeout}.run();
}

} // namespace veranda::cli
