#include "tools/veranda/commands.hpp"

#include "messages/model/repository.hpp"

#include <algorithm>
#include <array>
#include <iostream>

namespace veranda::cli {
namespace {

std::string when(const std::string& stamp) { return with_age(stamp, std::chrono::system_clock::now()); }

constexpr std::size_t label_width = 21;
constexpr std::size_t shown_runs = 10;
/// Bookkeeping of programs: long, and of no use to who reads.
constexpr std::array internal_annotations{"veranda.dev/last-applied", "kubectl.kubernetes.io/last-applied-configuration"};

std::string label(const std::string& name) { return name + std::string(std::max(label_width, name.size() + 1) - name.size(), ' '); }

void line(const std::string& name, const std::string& value) {
  if (!value.empty())
    std::cout << label(name + ":") << printable(value) << '\n';
}

void map_lines(const std::string& name, const json& object, const char* field) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains(field) || !(*metadata)[field].is_object())
    return;
  auto title = name + ":";
  for (const auto& [key, value] : (*metadata)[field].items()) {
    if (std::find(internal_annotations.begin(), internal_annotations.end(), key) != internal_annotations.end())
      continue;
    std::cout << label(title) << printable(key) << '=' << cell_text(value) << '\n';
    title.clear();
  }
}

void section(const std::string& title, const json& value) {
  if (value.empty())
    return;
  std::cout << title << ":\n" << printable(to_yaml(value, 2));
}

void describe_conditions(const json& status) {
  if (!status.contains("conditions") || !status["conditions"].is_array())
    return;
  std::cout << "Conditions:\n";
  text_table table{{"  TYPE", "STATUS", "REASON", "AGE", "MESSAGE"}};
  for (const auto& c : status["conditions"]) {
    const auto since = parse_rfc3339(text_at(c, {"lastTransitionTime"}));
    const auto age = since ? human_duration(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - *since)) : "";
    table.add({"  " + text_at(c, {"type"}), text_at(c, {"status"}), text_at(c, {"reason"}), age, cell_text(text_at(c, {"message"}))});
  }
  table.print(std::cout);
}

/// What the repository's actor itself says; null when it does not answer, which hinders no description.
json actor_state(api_client& client, const std::string& ns, const std::string& name) {
  const auto text = client.get("/dump?name=" + encode(ns + "/" + name) + "&deep=true");
  const auto dump = text ? parse_json(*text) : json{};
  return dump.is_object() ? dump : json::object();
}

/// `phase=listing`: what goes on now.
std::string activity(const json& dump) {
  std::string out;
  for (const auto& actor : dump.value("actors", json::array())) {
    const auto details = actor.value("details", json::object());
    for (const auto& [name, value] : details.items())
      if (const auto text = cell_text(value); !text.empty() && name != "sync_id")
        ((out += out.empty() ? "" : ", ") += name + " ") += text;
  }
  return out;
}

void describe_bad_items(const json& state) {
  const auto bad = state.value("bad", json::array());
  if (bad.empty())
    return;
  std::cout << "Not or not wholly in the cache:\n";
  text_table table{{"  WHAT", "KEPT", "REASON"}};
  for (const auto& item : bad)
    table.add({"  " + cell_text(text_at(item, {"what"})), item.value("excluded", false) ? "no" : "in part", cell_text(text_at(item, {"reason"}))});
  table.print(std::cout);
  if (const auto all = state.value("badCount", std::size_t{0}); all > bad.size())
    std::cout << "  and " << all - bad.size() << " more\n";
}

void describe_runs(const json& state) {
  const auto runs = state.value("runs", json::array());
  if (runs.empty())
    return;
  std::cout << "Last syncs:\n";
  text_table table{{"  STARTED", "CAUSE", "RESULT", "TOOK", "ADDED", "REMOVED", "CHANGED", "SYNC ID", "ERROR"}};
  for (std::size_t i = runs.size() > shown_runs ? runs.size() - shown_runs : 0; i < runs.size(); ++i) {
    const auto& run = runs[i];
    const auto* outcome = !run.value("ok", false) ? "error" : run.value("unchanged", false) ? "unchanged" : "ok";
    table.add({"  " + when(text_at(run, {"started"})), text_at(run, {"cause"}), outcome, text_at(run, {"durationSeconds"}) + "s", text_at(run, {"added"}),
               text_at(run, {"removed"}), text_at(run, {"changed"}), text_at(run, {"syncID"}), cell_text(text_at(run, {"error"}))});
  }
  table.print(std::cout);
}

void describe_head(const json& object) {
  line("Name", text_at(object, {"metadata", "name"}));
  line("Namespace", text_at(object, {"metadata", "namespace"}));
  map_lines("Labels", object, "labels");
  map_lines("Annotations", object, "annotations");
  line("UID", text_at(object, {"metadata", "uid"}));
  line("Generation", text_at(object, {"metadata", "generation"}));
  line("Created", when(text_at(object, {"metadata", "creationTimestamp"})));
  if (const auto deleted = text_at(object, {"metadata", "deletionTimestamp"}); !deleted.empty())
    line("Deletion requested", when(deleted));
}

void describe_repository(api_client& client, const json& object, const std::string& ns, const std::string& name) {
  describe_head(object);
  section("Spec", object.value("spec", json::object()));
  const auto status = object.value("status", json::object());
  line("Last sync", when(text_at(status, {"lastFullSyncTime"})));
  const auto cause = text_at(status, {"nextSyncCause"});
  line("Next sync", when(text_at(status, {"nextFullSyncTime"})) + (cause.empty() ? "" : " by " + cause));
  line("Commit", text_at(status, {"gitCommitHash"}));
  const auto dump = actor_state(client, ns, name);
  const auto state = dump.value("state", json::object());
  line("Packages", text_at(state, {"packages"}));
  line("Package revisions", text_at(status, {"packageCount"}));
  if (const auto seen = text_at(status, {"observedGeneration"}); seen != text_at(object, {"metadata", "generation"}))
    line("Observed generation", seen);
  if (const auto hold = state.value("deletionHold", json::object()); !hold.empty())
    line("Deletions held", text_at(hold, {"count"}) + " of " + text_at(hold, {"total"}) + " since " + when(text_at(hold, {"since"})) + ": " + text_at(hold, {"cause"}));
  line("One-time sync done", when(text_at(status, {"observedRunOnceAt"})));
  line("Now", activity(dump));
  line("Waits", text_at(state, {"place"}));
  describe_conditions(status);
  describe_bad_items(state);
  describe_runs(state);
}

void describe_other(const json& object) {
  describe_head(object);
  auto spec = object.value("spec", json::object());
  if (spec.contains("resources") && spec["resources"].is_object()) { // names and sizes; `get -o yaml` shows the files
    json files = json::object();
    for (const auto& [path, text] : spec["resources"].items())
      files[path] = std::to_string(text.is_string() ? text.get_ref<const std::string&>().size() : 0) + " bytes";
    spec["resources"] = std::move(files);
  }
  section("Spec", spec);
  section("Status", object.value("status", json::object()));
}

} // namespace

int run_describe(const globals& g, const describe_options& o) {
  const auto asked = parse_target(o.kind, o.names);
  if (!asked)
    return usage(asked.error().what);
  if (asked->names.empty())
    return usage("name what to describe");
  const auto* kind = asked->kind;
  api_client client{g.server};
  int outcome = exit_ok;
  bool first = true;
  for (const auto& name : asked->names) {
    const auto text = client.get(object_path(*kind, g.ns, name));
    if (!text) {
      outcome = fail(text.error());
      continue;
    }
    if (!first)
      std::cout << '\n';
    first = false;
    const auto object = parse_json(*text);
    if (kind->kind == "Repository")
      describe_repository(client, object, g.ns, name);
    else
      describe_other(object);
  }
  return outcome;
}

} // namespace veranda::cli
