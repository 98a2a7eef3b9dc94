#pragma once

#include "actors/logic/package_rev_machine.hpp"

#include <string>

namespace veranda::test {

using namespace veranda::logic;
using namespace std::chrono_literals;

inline part_digest digest_of(char c) {
  part_digest d{};
  d.fill(static_cast<std::uint8_t>(c));
  return d;
}
inline object_key key(const std::string& name) { return {"ns", name}; }

/// An object as we would have written it for content `c`.
inline package_rev_view ours(char c, const std::string& version = "10", const std::string& uid = "u1") { return {uid, version, "repo", digest_of(c), false, true, true, false, {}}; }
inline package_rev_view terminating(package_rev_view v) {
  v.terminating = true;
  return v;
}
inline package_rev_view released(package_rev_view v, const std::string& version) {
  v.held = false;
  v.digest = digest_of('?');
  v.resource_version = version;
  return v;
}
inline failure fails(ec code) { return {code, "no", {}, {}, {}}; }

/// A machine that is in step with the repositories `repo` and `other`, on a clock of the test's own.
struct machine : package_rev_machine {
  explicit machine(package_rev_policy policy = {}, bool synced = true) : package_rev_machine(policy) {
    if (synced) enter_step({key("repo"), key("other")}, now);
  }
  /// Both sides are known, and hold what was told before.
  void ready() {
    begin_revisions();
    end_revisions(now);
    listed(now);
  }
  void wanted(const std::string& name, char c, const std::string& repository = "repo") { want(key(name), repository, digest_of(c), now); }
  /// What is started: `create a, patch b`.
  std::string asked() {
    std::string out;
    for (const auto& o : start(now)) {
      out += (out.empty() ? "" : ", ") + std::string{to_string(o.call)} + " " + o.key.name;
      last = o;
    }
    return out;
  }
  void later(std::chrono::milliseconds d) { now += d; }
  /// What is asked once whatever is waited for is over; how long that takes is in `waited`.
  std::string asked_when_due() {
    const auto before = now;
    for (int i = 0; i < 50; ++i) {
      if (auto text = asked(); !text.empty() || !due()) {
        waited = now - before;
        return text;
      }
      now = std::max(now, *due());
    }
    return "nothing";
  }
  time now{1h};
  package_rev_order last;
  time::duration waited{};
};

} // namespace veranda::test
