#pragma once

#include "messages/model/object.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace veranda::logic {

/// How the reading of a Secret ended.
struct secret_reading {
  bool sound = false;   ///< it was given, or there is none; else it may end better the next time, or after a right is granted
  bool another = false; ///< something else was known of it before
  std::string version;  ///< of what is known now
};

/// Which Secrets are in use, which must be read, and whose change is to be told. Pure: no clock, no I/O, and never a byte of a Secret. Two ways of knowing a Secret's change:
/// where its namespace is watched, by being told (`changed`), and then what was read once is good until that; elsewhere by reading it before each use, and those
/// that were refused now and then. `watched_since` is always when the watch of its namespace became complete; nothing while it is not.
class secret_ledger {
public:
  using time = std::chrono::steady_clock::time_point;
  using since = std::optional<time>;

  /// `user` is about to use it.
  void use(const object_key& secret, const std::string& user);
  /// `user` is no more. True when that was the last: nothing of it is to be kept.
  bool let_go(const object_key& secret, const std::string& user);
  [[nodiscard]] bool used(const object_key& secret) const { return all_.contains(secret); }
  /// Whether any Secret of the namespace is in use.
  [[nodiscard]] bool uses(const std::string& ns) const;
  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }

  /// Whether what is known is not good enough for a use now, `young` being how old it may be without a watch.
  [[nodiscard]] bool must_read(const object_key& secret, time now, std::chrono::milliseconds young, since watched_since) const;
  void begun(const object_key& secret);
  /// True when those who use it are to sync: it is another than the one that was refused, or, with a watch, than before.
  bool ended(const object_key& secret, const secret_reading& reading, time now, since watched_since);

  /// The watch shows that version of it; empty: that it is gone. Of no consequence for one that nobody uses.
  void changed(const object_key& secret, const std::string& version);
  /// A remote could not be read for want of other credentials than that version, or could be.
  void tried(const object_key& secret, bool refused, const std::string& version, time now, std::chrono::milliseconds young, since watched_since);

  /// At most so many of those that changed and are not being read.
  [[nodiscard]] std::vector<object_key> stale(std::size_t most) const;
  /// At most so many of those whose reading may show something new though nothing tells it, in turn from call to call.
  std::vector<object_key> overdue(std::size_t most, const std::function<since(const std::string& ns)>& watched_since);
  [[nodiscard]] std::size_t refused() const noexcept { return refused_; }

private:
  struct entry {
    std::set<std::string> users;
    since read; ///< when a reading last ended
    bool sound = false;
    bool reading = false;
    std::optional<std::string> seen;    ///< the version that the watch showed since the last reading began
    std::optional<std::string> refused; ///< the version that was of no use to a remote
  };
  [[nodiscard]] static bool good(const entry& e, since watched_since) { return watched_since && e.sound && e.read && *e.read >= *watched_since && !e.seen; }
  void set_refused(entry& e, std::optional<std::string> version);
  void mark(const object_key& secret, entry& e, const std::string& version);

  std::map<object_key, entry> all_;
  std::set<object_key> stale_; ///< those with `seen`
  std::size_t refused_ = 0;
  object_key last_; ///< that was overdue
};

} // namespace veranda::logic
