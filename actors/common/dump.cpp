#include "actors/common/dump.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>

namespace veranda {

namespace {

/// Appends a JSON string; bytes that are not UTF-8 become U+FFFD. Nearly all texts need no escaping.
void add_text(std::string& out, std::string_view s) {
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::all_of(s.begin(), s.end(), plain))
    ((out += '"') += s) += '"';
  else
    out += nlohmann::json(s).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <class Number>
void add_number(std::string& out, Number n) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n);
  out.append(digits.data(), end.ptr);
}

void add_seconds(std::string& out, std::chrono::nanoseconds d) { add_number(out, static_cast<double>(d.count()) / 1e9); }

/// Writes one JSON object member by member; a tree of values in between would cost more than the answer.
class object_writer {
public:
  explicit object_writer(std::string& out) : out_(out) { out_ += '{'; }
  ~object_writer() { out_ += '}'; }
  object_writer(const object_writer&) = delete;
  object_writer& operator=(const object_writer&) = delete;

  /// Where the value of a member goes.
  std::string& member(std::string_view name) {
    if (out_.back() != '{')
      out_ += ',';
    add_text(out_, name);
    return out_ += ':';
  }
  void member(std::string_view name, std::string_view value) { add_text(member(name), value); }
  template <std::integral Number>
  void member(std::string_view name, Number value) {
    add_number(member(name), value);
  }
  void member(std::string_view name, std::chrono::nanoseconds value) { add_seconds(member(name), value); }

private:
  std::string& out_;
};

void write_timers(std::string& out, const std::vector<cell_timer>& timers) {
  out += '[';
  for (const auto& t : timers) {
    if (out.back() != '[')
      out += ',';
    object_writer o{out};
    o.member("name", t.name);
    o.member("due", format_rfc3339(t.due));
  }
  out += ']';
}

template <class Value>
void write_map(std::string& out, const std::vector<std::pair<std::string, Value>>& entries) {
  object_writer o{out};
  for (const auto& [name, value] : entries)
    o.member(name, value);
}

void write_handler(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("name", c.handler);
  o.member("seconds", c.handler_age);
}

void write_mailbox(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("depth", c.mailbox_depth);
  o.member("max", c.mailbox_max);
}

void write_handler_seconds(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("total", c.handler_total);
  o.member("max", c.handler_max);
}

void write_actor(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("kind", c.kind);
  if (!c.key.empty())
    o.member("key", c.key);
  o.member("state", c.state);
  if (!c.handler.empty())
    write_handler(o.member("handler"), c);
  o.member("stuck") += c.stuck ? "true" : "false";
  write_mailbox(o.member("mailbox"), c);
  write_map(o.member("messages"), c.messages);
  write_handler_seconds(o.member("handlerSeconds"), c);
  write_timers(o.member("timers"), c.timers);
  o.member("inFlight", c.in_flight);
  o.member("restarts", c.restarts);
  if (!c.last_error.empty())
    o.member("lastError", c.last_error);
  if (!c.details.empty())
    write_map(o.member("details"), c.details);
}

} // namespace

std::string dump_json(const cell_registry& cells, wall_time now, std::string_view name) {
  std::string out;
  {
    object_writer o{out};
    o.member("kind", "ActorDump");
    o.member("time", format_rfc3339(now));
    o.member("actors") += '[';
    for (const auto& c : cells.snapshot(name)) {
      if (out.back() != '[')
        out += ',';
      write_actor(out, c);
    }
    out += ']';
  }
  return out;
}

} // namespace veranda
