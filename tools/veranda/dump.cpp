#include "tools/veranda/commands.hpp"

#include "messages/model/time.hpp"

#include <iostream>

namespace veranda::cli {
namespace {

constexpr std::int64_t shown_in_seconds = 10'000;

/// How long the actor has worked in all.
std::string busy(const json& actor) {
  const auto times = actor.find("handlerSeconds");
  if (times == actor.end() || !times->is_object() || !times->contains("total") || !(*times)["total"].is_number())
    return {};
  const auto ms = static_cast<std::int64_t>((*times)["total"].get<double>() * 1000);
  return ms < shown_in_seconds ? std::to_string(ms) + "ms" : human_duration(std::chrono::seconds{ms / 1000});
}

/// What the actor says of itself besides: `repositories=3 remotes=2`.
std::string details(const json& actor) {
  std::string out;
  if (const auto found = actor.find("details"); found != actor.end() && found->is_object())
    for (const auto& [name, value] : found->items())
      if (const auto text = cell_text(value); !text.empty())
        ((out += out.empty() ? "" : " ") += printable(name) + "=") += text;
  return out;
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
  text_table table{{"KIND", "KEY", "STATE", "HANDLER", "STUCK", "MAILBOX", "MESSAGES", "BUSY", "IN FLIGHT", "RESTARTS", "NEXT TIMER", "DETAILS", "LAST ERROR"}};
  for (const auto& a : actors)
    table.add({cell_text(text_at(a, {"kind"})), cell_text(text_at(a, {"key"})), cell_text(text_at(a, {"state"})), cell_text(text_at(a, {"handler", "name"})),
               text_at(a, {"stuck"}), text_at(a, {"mailbox", "depth"}), std::to_string(message_count(a)), busy(a),
               text_at(a, {"inFlight"}), text_at(a, {"restarts"}), cell_text(next_timer(a)), details(a), cell_text(text_at(a, {"lastError"}))});
  table.print(std::cout);
}

/// Keeps the actors of one kind: those that are alone of their kind have no name of their own.
json of_kind(json dump, const std::string& kind) {
  json kept = json::array();
  for (auto& a : dump["actors"])
    if (text_at(a, {"kind"}) == kind)
      kept.push_back(std::move(a));
  dump["actors"] = std::move(kept);
  return dump;
}

bool lists_actors(const json& dump) { return dump.is_object() && dump.contains("actors") && dump["actors"].is_array(); }

/// The dump that is asked for; `not_found` when nobody has the name.
result<json> read_dump(api_client& client, const dump_options& o) {
  const auto read = [&client](const std::string& query) -> result<json> {
    const auto text = client.get("/dump" + query);
    if (!text)
      return text.error();
    auto dump = parse_json(*text);
    if (!lists_actors(dump))
      return failure{ec::unavailable, "the answer is not a dump", client.server(), {}, {}};
    return dump;
  };
  if (o.name.empty())
    return read("");
  auto dump = read("?name=" + encode(o.name) + (o.deep ? "&deep=true" : ""));
  if (!dump || !(*dump)["actors"].empty())
    return dump;
  dump = read("");
  if (dump)
    dump = of_kind(std::move(*dump), o.name);
  if (dump && (*dump)["actors"].empty())
    return failure{ec::not_found, "no actor has this key or kind: veranda dump shows them all", o.name, {}, {}};
  return dump;
}

} // namespace

int run_dump(const globals& g, const dump_options& o) {
  if (o.deep && o.name.empty())
    return usage("--deep asks one actor: give its name");
  api_client client{g.server};
  const auto dump = read_dump(client, o);
  if (!dump)
    return fail(dump.error());
  if (o.output == "json")
    std::cout << to_text(*dump) << '\n';
  else if (o.deep)
    std::cout << printable(to_yaml(*dump));
  else
    print_actors((*dump)["actors"]);
  return exit_ok;
}

} // namespace veranda::cli
