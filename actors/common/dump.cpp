#include "actors/common/dump.hpp"

#include <nlohmann/json.hpp>

namespace veranda {

namespace {

using json = nlohmann::ordered_json;

double seconds_of(std::chrono::nanoseconds d) { return std::chrono::duration<double>(d).count(); }

/// A JSON string; bytes that are not UTF-8 become U+FFFD.
std::string text(std::string_view s) { return json(s).dump(-1, ' ', false, json::error_handler_t::replace); }

/// Writes one JSON object member by member; a tree of values in between would cost more than the answer.
class object_writer {
public:
  explicit object_writer(std::string& out) : out_(out) { out_ += '{'; }
  ~object_writer() { out_ += '}'; }
  object_writer(const object_writer&) = delete;
  object_writer& operator=(const object_writer&) = delete;

  /// Where the value of a member goes. `name` needs no escaping when it is ours.
  std::string& member(std::string_view name) {
    separate();
    ((out_ += '"') += name) += "\":";
    return out_;
  }
  void any_member(std::string_view name, std::string_view value) {
    separate();
    ((out_ += text(name)) += ':') += value;
  }

private:
  void separate() {
    if (out_.back() != '{')
      out_ += ',';
  }
  std::string& out_;
};

void write_timers(std::string& out, const std::vector<cell_timer>& timers) {
  out += '[';
  for (const auto& t : timers) {
    if (out.back() != '[')
      out += ',';
    object_writer o{out};
    o.member("name") += text(t.name);
    o.member("due") += text(format_rfc3339(t.due));
  }
  out += ']';
}

void write_handler(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("name") += text(c.handler);
  o.member("seconds") += json(seconds_of(c.handler_age)).dump();
}

void write_messages(std::string& out, const cell_view& c) {
  object_writer o{out};
  for (const auto& [type, count] : c.messages)
    o.any_member(type, std::to_string(count));
}

void write_details(std::string& out, const cell_view& c) {
  object_writer o{out};
  for (const auto& [name, value] : c.details)
    o.any_member(name, text(value));
}

void write_actor(std::string& out, const cell_view& c) {
  object_writer o{out};
  o.member("kind") += text(c.kind);
  if (!c.key.empty())
    o.member("key") += text(c.key);
  o.member("state") += text(c.state);
  if (!c.handler.empty())
    write_handler(o.member("handler"), c);
  o.member("stuck") += c.stuck ? "true" : "false";
  {
    object_writer mailbox{o.member("mailbox")};
    mailbox.member("depth") += std::to_string(c.mailbox_depth);
    mailbox.member("max") += std::to_string(c.mailbox_max);
  }
  write_messages(o.member("messages"), c);
  {
    object_writer seconds{o.member("handlerSeconds")};
    seconds.member("total") += json(seconds_of(c.handler_total)).dump();
    seconds.member("max") += json(seconds_of(c.handler_max)).dump();
  }
  write_timers(o.member("timers"), c.timers);
  o.member("inFlight") += std::to_string(c.in_flight);
  o.member("restarts") += std::to_string(c.restarts);
  if (!c.last_error.empty())
    o.member("lastError") += text(c.last_error);
  if (!c.details.empty())
    write_details(o.member("details"), c);
}

} // namespace

std::string dump_json(const cell_registry& cells, wall_time now, std::string_view name) {
  std::string out;
  {
    object_writer o{out};
    o.member("kind") += "\"ActorDump\"";
    o.member("time") += text(format_rfc3339(now));
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
