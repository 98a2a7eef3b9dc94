#include "tools/veranda/commands.hpp"

#include "messages/model/time.hpp"

#include <iostream>

namespace veranda::cli {
namespace {

std::string seconds_text(const json& actor, const char* field) {
  const auto times = actor.find("handlerSeconds");
  if (times == actor.end() || !times->is_object() || !times->contains(field) || !(*times)[field].is_number())
    return {};
  return std::to_string(static_cast<std::int64_t>((*times)[field].get<double>() * 1000)) + "ms";
}

std::int64_t message_count(const json& actor) {
  std::int64_t n = 0;
  if (const auto messages = actor.find("messages"); messages != actor.end() && messages->is_object())
    for (const auto& count : *messages)
      n += count.is_number_integer() ? count.get<std::int64_t>() : 0;
  return n;
}

std::string next_timer(const json& actor) {
  const auto timers = actor.find("timers");
  if (timers == actor.end() || !timers->is_array() || timers->empty())
    return {};
  const json* first = nullptr;
  for (const auto& t : *timers)
    if (first == nullptr || text_at(t, {"due"}) < text_at(*first, {"due"}))
      first = &t;
  const auto due = parse_rfc3339(text_at(*first, {"due"}));
  const auto left = due ? std::chrono::duration_cast<std::chrono::seconds>(*due - std::chrono::system_clock::now()) : std::chrono::seconds{0};
  return text_at(*first, {"name"}) + (left.count() > 0 ? " in " + human_duration(left) : " now");
}

void print_actors(const json& actors) {
  text_table table{{"KIND", "KEY", "STATE", "HANDLER", "STUCK", "MAILBOX", "MESSAGES", "BUSY", "IN FLIGHT", "RESTARTS", "NEXT TIMER", "LAST ERROR"}};
  for (const auto& a : actors)
    table.add({cell_text(text_at(a, {"kind"})), cell_text(text_at(a, {"key"})), cell_text(text_at(a, {"state"})), cell_text(text_at(a, {"handler", "name"})),
               text_at(a, {"stuck"}), text_at(a, {"mailbox", "depth"}), std::to_string(message_count(a)), seconds_text(a, "total"),
               text_at(a, {"inFlight"}), text_at(a, {"restarts"}), cell_text(next_timer(a)), cell_text(text_at(a, {"lastError"}))});
  table.print(std::cout);
}

} // namespace

int run_dump(const globals& g, const dump_options& o) {
  if (o.deep && o.name.empty())
    return usage("--deep asks one actor: give its name");
  api_client client{g.server};
  std::string query = o.name.empty() ? "" : "?name=" + encode(o.name);
  if (o.deep)
    query += "&deep=true";
  const auto text = client.get("/dump" + query);
  if (!text)
    return fail(text.error());
  const auto dump = parse_json(*text);
  if (dump.is_discarded())
    return fail({ec::unavailable, "the dump is not JSON", client.server(), {}, {}});
  if (o.output == "json")
    std::cout << to_text(dump) << '\n';
  else if (o.deep || !dump.contains("actors"))
    std::cout << printable(to_yaml(dump));
  else
    print_actors(dump["actors"]);
  return exit_ok;
}

} // namespace veranda::cli
