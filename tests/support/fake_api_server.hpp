#pragma once

#include "tests/support/stream_server.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace veranda::test {

/// An API server for Repository objects alone: lists in pages, watches from a version, bookmarks, a history that can be forgotten or restored, and whatever faults a
/// test wants. Thread safe.
class fake_api_server {
public:
  struct row {
    std::string uid;
    long version = 0;
    std::string description;
    bool operator==(const row&) const = default;
  };
  using objects = std::map<std::string, row>; ///< by `namespace/name`
  /// Raw bytes to answer a request with instead; an empty text closes the connection; nothing: no fault.
  using fault_function = std::function<std::optional<std::string>(const std::string& request)>;

  fake_api_server() : server_([this](const std::string& request, stream_server::peer& p) { handle(request, p); }) {}
  ~fake_api_server() {
    stopping_ = true;
    changed_.notify_all();
  }

  void put(const std::string& key, const std::string& description) {
    const std::lock_guard lock{mutex_};
    auto& r = rows_[key];
    const bool fresh = r.uid.empty();
    if (fresh) r.uid = "u" + std::to_string(++uids_);
    r.version = ++version_;
    r.description = description;
    log_.push_back({version_, fresh ? "ADDED" : "MODIFIED", key, r});
    changed_.notify_all();
  }
  void remove(const std::string& key) {
    const std::lock_guard lock{mutex_};
    auto node = rows_.extract(key);
    if (node.empty()) return;
    node.mapped().version = ++version_;
    log_.push_back({version_, "DELETED", key, node.mapped()});
    changed_.notify_all();
  }
  /// Forgets the history: older positions are too old.
  void forget() {
    const std::lock_guard lock{mutex_};
    forgotten_ = version_;
  }
  void cut_watches() {
    const std::lock_guard lock{mutex_};
    ++cuts_;
    changed_.notify_all();
  }
  void back_up() {
    const std::lock_guard lock{mutex_};
    backup_ = {rows_, log_, version_};
  }
  /// As from a backup: history and versions go back. Nobody gets through for `outage` requests.
  void restore(int outage) {
    const std::lock_guard lock{mutex_};
    std::tie(rows_, log_, version_) = backup_;
    forgotten_ = std::min(forgotten_, version_);
    outage_ = outage;
    ++cuts_;
    changed_.notify_all();
  }
  void set_fault(fault_function fault) {
    const std::lock_guard lock{mutex_};
    fault_ = std::move(fault);
  }
  void set_bookmarks(std::chrono::milliseconds every) {
    const std::lock_guard lock{mutex_};
    bookmark_every_ = every;
  }
  [[nodiscard]] objects truth() const {
    const std::lock_guard lock{mutex_};
    return rows_;
  }
  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] std::vector<std::string> requests() const { return server_.requests(); }

  static std::string json(const std::string& key, const row& r) {
    const auto slash = key.find('/');
    return R"({"apiVersion":"config.porch.kpt.dev/v1alpha1","kind":"Repository","metadata":{"name":")" + key.substr(slash + 1) + R"(","namespace":")" + key.substr(0, slash) +
           R"(","uid":")" + r.uid + R"(","resourceVersion":")" + std::to_string(r.version) + R"(","generation":1},"spec":{"type":"git","description":")" + r.description +
           R"(","git":{"repo":"https://host/repo"}}})";
  }
  static std::string gone() { return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410})"; }

private:
  struct entry {
    long version;
    std::string type;
    std::string key;
    row object;
  };

  static std::string query(const std::string& request, const std::string& name) {
    const auto line = request.substr(0, request.find(" HTTP/"));
    for (const char before : {'?', '&'})
      if (const auto at = line.find(before + name + "="); at != std::string::npos) {
        auto value = line.substr(at + name.size() + 2);
        value = value.substr(0, value.find('&'));
        for (auto slash = value.find("%2F"); slash != std::string::npos; slash = value.find("%2F")) value.replace(slash, 3, "/");
        return value;
      }
    return {};
  }
  static std::string scope_of(const std::string& request) {
    const auto at = request.find("/namespaces/");
    return at == std::string::npos || at > request.find('\r') ? "" : request.substr(at + 12, request.find('/', at + 12) - at - 12) + "/";
  }

  void handle(const std::string& request, stream_server::peer& p) {
    std::unique_lock lock{mutex_};
    const auto fault = outage_ > 0 ? (--outage_, std::optional<std::string>{""}) : fault_ ? fault_(request) : std::nullopt;
    if (fault) {
      lock.unlock();
      p.send(*fault);
      return p.close_after();
    }
    if (query(request, "watch") == "true") return watch(request, p, lock);
    const auto answer = list(request);
    lock.unlock();
    p.send(answer);
  }

  std::string list(const std::string& request) {
    const auto limit = query(request, "limit").empty() ? rows_.size() + 1 : std::stoul(query(request, "limit"));
    const auto token = query(request, "continue");
    const auto asked = query(request, "resourceVersion");
    if (!asked.empty() && std::stol(asked) > version_)
      return stream_server::reply("504 Gateway Timeout", R"({"kind":"Status","reason":"Timeout","code":504,"details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1}})");
    if (token.empty()) pages_[version_] = rows_;
    const auto version = token.empty() ? version_ : std::stol(token);
    if (version < forgotten_ || !pages_.contains(version)) return stream_server::reply("410 Gone", gone());
    const auto scope = scope_of(request);
    std::string items, last;
    std::size_t count = 0;
    const auto& page = pages_[version];
    for (auto at = token.empty() ? page.begin() : page.upper_bound(token.substr(token.find('/') + 1)); at != page.end(); ++at) {
      if (!at->first.starts_with(scope)) continue;
      if (count++ == limit) return answer(items, version, std::to_string(version) + "/" + last);
      items += (items.empty() ? "" : ",") + json(at->first, at->second);
      last = at->first;
    }
    return answer(items, version, {});
  }
  static std::string answer(const std::string& items, long version, const std::string& token) {
    return stream_server::reply("200 OK", R"({"kind":"RepositoryList","apiVersion":"config.porch.kpt.dev/v1alpha1","metadata":{"resourceVersion":")" + std::to_string(version) +
                                            R"(","continue":")" + token + R"("},"items":[)" + items + "]}");
  }

  void watch(const std::string& request, stream_server::peer& p, std::unique_lock<std::mutex>& lock) {
    auto position = std::stol(query(request, "resourceVersion"));
    const auto scope = scope_of(request);
    const auto cuts = cuts_;
    p.close_after();
    const auto say = [&](const std::string& text) {
      lock.unlock();
      const bool sent = p.chunk(text);
      lock.lock();
      return sent;
    };
    const bool old = position < forgotten_;
    lock.unlock();
    if (old && position % 2 == 0) {
      p.send(stream_server::reply("410 Gone", gone()));
      return;
    }
    p.send(stream_server::stream_head());
    lock.lock();
    if (old) {
      say(R"({"type":"ERROR","object":)" + gone() + "}\n");
      return;
    }
    for (auto quiet = std::chrono::steady_clock::now(); cuts == cuts_ && !stopping_;) {
      const auto next = std::find_if(log_.begin(), log_.end(), [&](const entry& e) { return e.version > position; });
      std::string text;
      if (next != log_.end()) {
        position = next->version;
        if (next->key.starts_with(scope)) text = R"({"type":")" + next->type + R"(","object":)" + json(next->key, next->object) + "}\n";
      } else if (std::chrono::steady_clock::now() - quiet >= bookmark_every_) {
        text = R"({"type":"BOOKMARK","object":{"kind":"Repository","metadata":{"resourceVersion":")" + std::to_string(version_) + "\"}}}\n";
      } else {
        changed_.wait_for(lock, std::chrono::milliseconds{10});
        if (p.gone()) return;
        continue;
      }
      quiet = std::chrono::steady_clock::now();
      if (!text.empty() && !say(text)) return;
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  objects rows_;
  std::vector<entry> log_;
  std::map<long, objects> pages_;
  std::tuple<objects, std::vector<entry>, long> backup_{{}, {}, 100};
  long version_ = 100;
  long forgotten_ = 0;
  long uids_ = 0;
  int outage_ = 0;
  std::uint64_t cuts_ = 0;
  std::chrono::milliseconds bookmark_every_{50};
  fault_function fault_;
  std::atomic<bool> stopping_{false};
  stream_server server_; ///< last: its threads use the rest
};

} // namespace veranda::test
