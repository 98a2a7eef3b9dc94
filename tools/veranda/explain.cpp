#include "tools/veranda/commands.hpp"

#include <cstdio>
#include <iostream>
#include <sstream>

namespace veranda::cli {
namespace {

constexpr std::size_t label_width = 16;

std::string label(const std::string& name) { return name + std::string(label_width > name.size() ? label_width - name.size() : 1, ' '); }

void line(std::ostream& out, const std::string& name, const std::string& value) {
  if (!value.empty())
    out << label(name + ":") << printable(value) << '\n';
}

json part(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? json{} : *found;
}

double number(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

/// `0.123s`, `4.56s`, `2m30s`; `-` for nothing.
std::string took(double seconds) {
  if (seconds <= 0)
    return "-";
  if (seconds >= 60)
    return human_duration(std::chrono::seconds{static_cast<std::int64_t>(seconds)});
  char text[32];
  std::snprintf(text, sizeof text, seconds < 1 ? "%.3fs" : "%.2fs", seconds);
  return text;
}

std::string list_of(const json& texts, const std::string& between) {
  std::string out;
  if (texts.is_array())
    for (const auto& t : texts)
      (out += out.empty() ? "" : between) += cell_text(t);
  return out;
}

std::string next_text(const json& next, wall_time now) {
  const auto time = text_at(next, {"time"});
  const auto why = text_at(next, {"why"});
  return time.empty() ? why : with_age(time, now) + " by " + text_at(next, {"cause"}) + ": " + why;
}

std::string schedule_text(const json& schedule) {
  const auto every = text_at(schedule, {"every"});
  auto text = text_at(schedule, {"expression"});
  if (text.empty())
    return "every " + every;
  text = "cron \"" + text + "\", zone " + text_at(schedule, {"timeZone"}) + " unless it names one";
  if (const auto problem = text_at(schedule, {"problem"}); !problem.empty())
    text += "; not followed (" + problem + "): every " + every;
  return text;
}

void print_planned(std::ostream& out, const json& planned, wall_time now) {
  if (!planned.is_array() || planned.size() < 2)
    return;
  std::string text;
  for (std::size_t i = 1; i < planned.size(); ++i)
    text += (text.empty() ? "" : "; ") + with_age(text_at(planned[i], {"time"}), now) + " by " + text_at(planned[i], {"cause"});
  line(out, "Also planned", text);
}

std::string mirror_text(const json& mirror, wall_time now) {
  if (!mirror.is_object())
    return {};
  if (const auto removed = text_at(mirror, {"removed"}); !removed.empty())
    return "removed " + with_age(removed, now) + " to stay within --mirror-max-bytes; the next sync that finds a change fetches everything";
  return human_bytes(number(mirror, "bytes")) + ", last used " + with_age(text_at(mirror, {"lastUsed"}), now);
}

void print_error(std::ostream& out, const json& error) {
  if (!error.is_object())
    return;
  line(out, "Last error", text_at(error, {"error"}) + " (" + text_at(error, {"code"}) + ")");
  line(out, "What to do", text_at(error, {"advice"}));
}

void print_runs(std::ostream& out, const json& runs, wall_time now) {
  if (!runs.is_array() || runs.empty()) {
    out << "Last syncs:     none yet\n";
    return;
  }
  out << "Last syncs:\n";
  text_table table{{"  STARTED", "CAUSE", "OUTCOME", "TOOK", "LISTING", "WAITING", "FETCH", "DISCOVERY", "APPLY", "CACHED ONLY", "EXTERNAL ONLY", "BOTH", "CHANGED", "BAD", "ERROR"}};
  for (const auto& run : runs) {
    const auto phases = part(run, "phases");
    const auto counts = part(run, "counts");
    const bool counted = text_at(run, {"outcome"}) == "ok";
    const auto count = [&](const char* name) { return counted ? text_at(counts, {name}) : std::string{"-"}; };
    table.add({"  " + with_age(text_at(run, {"started"}), now), text_at(run, {"cause"}), text_at(run, {"outcome"}), took(number(run, "seconds")), took(number(phases, "listing")),
               took(number(phases, "waiting")), took(number(phases, "fetch")), took(number(phases, "discovery")), took(number(phases, "apply")), count("cachedOnly"),
               count("externalOnly"), count("both"), count("changed"), count("bad"), printable(cell_text(part(run, "error")))});
  }
  table.print(out);
}

/// What a 404 without the name of an object means: nobody there knows the question.
failure with_hint(const answer& a, const std::string& name) {
  auto why = failure_of(a, name);
  const auto status = parse_json(a.body);
  if (a.status == 404 && text_at(status, {"details", "name"}).empty())
    return {ec::unsupported, "this daemon cannot explain: it is older than this veranda", name, {}, {}};
  return why;
}

} // namespace

std::string with_age(const std::string& stamp, wall_time now) {
  const auto at = parse_rfc3339(stamp);
  if (!at)
    return stamp;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(*at - now);
  return stamp + " (" + (left.count() > 0 ? "in " + human_duration(left) : human_duration(-left) + " ago") + ")";
}

std::string explanation_text(const json& e, wall_time now) {
  std::ostringstream out;
  line(out, "Name", text_at(e, {"namespace"}) + "/" + text_at(e, {"name"}));
  line(out, "State", text_at(e, {"state"}) + ": " + text_at(e, {"why"}));
  line(out, "Queue", text_at(e, {"queue"}));
  line(out, "Next sync", next_text(part(e, "next"), now));
  print_planned(out, part(e, "planned"), now);
  const auto schedule = part(e, "schedule");
  line(out, "Schedule", schedule_text(schedule));
  line(out, "Next five times", list_of(part(schedule, "next"), "  "));
  if (const auto success = text_at(e, {"lastSuccess"}); !success.empty())
    line(out, "Last success", with_age(success, now));
  line(out, "Holds", text_at(e, {"packages"}) + " packages, " + text_at(e, {"revisions"}) + " revisions, " + text_at(e, {"bad"}) + " items not or not wholly");
  line(out, "Commit", text_at(e, {"commit"}));
  line(out, "Mirror", mirror_text(part(e, "mirror"), now));
  print_error(out, part(e, "lastError"));
  if (const auto notes = part(e, "notes"); notes.is_array())
    for (const auto& note : notes)
      line(out, "Note", cell_text(note));
  print_runs(out, part(e, "runs"), now);
  return out.str();
}

int run_explain(const globals& g, const explain_options& o) {
  repository_selection of;
  of.names = {o.name};
  if (const auto wrong = plain_selection(g, of))
    return usage(*wrong);
  const auto& name = of.names.front();
  api_client client{g.server};
  const auto a = client.call("GET", "/explain?name=" + encode(g.ns + "/" + name));
  if (!a)
    return fail(a.error());
  if (a->status != 200)
    return fail(with_hint(*a, name));
  const auto explanation = parse_json(a->body);
  if (text_at(explanation, {"kind"}) != "RepositoryExplanation")
    return fail({ec::unavailable, "the answer is no explanation", client.server(), {}, {}});
  if (o.output == "json")
    std::cout << to_text(explanation) << '\n';
  else if (o.output == "yaml")
    std::cout << to_yaml(explanation);
  else
    std::cout << explanation_text(explanation, std::chrono::system_clock::now());
  return exit_ok;
}

} // namespace veranda::cli
