#pragma once

#include "actors/logic/elector.hpp"

#include <string>

namespace veranda::test {

using namespace veranda::logic;
using namespace std::chrono_literals;

inline const wall_time noon = *parse_rfc3339("2026-03-10T12:00:00Z");

inline failure because(ec code) { return {code, "the server is away", {}, {}, {}}; }

inline lease_object lease_of(const std::string& holder, std::int64_t seconds = 15, std::int64_t transitions = 3, const std::string& version = "7", wall_time renewed = noon) {
  return {{holder, seconds, noon, renewed, transitions}, "u1", version, "{}"};
}

inline std::string shown(const lease_record& r) {
  return (r.holder.empty() ? std::string{"-"} : r.holder) + " " + std::to_string(r.duration_seconds) + "s #" + std::to_string(r.transitions);
}

inline std::string shown(const elector::wanted& w) {
  if (const auto* create = std::get_if<lease_create>(&w)) return "create " + shown(create->record);
  if (const auto* replace = std::get_if<lease_replace>(&w)) return "replace " + replace->base.resource_version + ": " + shown(replace->record);
  if (const auto* wait = std::get_if<lease_wait>(&w)) return "wait " + std::to_string(wait->delay.count());
  return std::holds_alternative<lease_read>(w) ? "read" : "done";
}

/// An elector on clocks of the test's own.
struct driven {
  elector::time now{};
  wall_time wall = noon;
  double draw = 0;
  int version = 100;
  elector e{{.identity = "me"}, at()};

  [[nodiscard]] elector::moment at() const { return {now, wall, draw}; }
  [[nodiscard]] std::string next() const { return shown(e.next()); }
  [[nodiscard]] std::string role() const { return std::string{to_string(e.role())}; }
  void pass(std::chrono::milliseconds d) {
    now += d;
    wall += d;
  }
  void read(std::optional<lease_object> got) { e.on_read(std::move(got), at()); }
  void read_fails(ec code = ec::unreachable) { e.on_read(because(code), at()); }
  void write_fails(ec code) { e.on_written(because(code), at()); }
  [[nodiscard]] const lease_record& asked() const {
    const auto* create = std::get_if<lease_create>(&e.next());
    return create != nullptr ? create->record : std::get<lease_replace>(e.next()).record;
  }
  void written() { e.on_written(lease_object{asked(), "u1", std::to_string(++version), "{}"}, at()); }
  /// Waits as long as is asked for.
  void due() {
    pass(std::get<lease_wait>(e.next()).delay);
    e.on_due(at());
  }
  static driven leading() {
    driven d;
    d.read(std::nullopt);
    d.written();
    return d;
  }
};

} // namespace veranda::test
