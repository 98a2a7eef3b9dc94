#include "tools/veranda/commands.hpp"

#include "messages/model/repository.hpp"

#include <iostream>

namespace veranda::cli {
namespace {

/// `2m ago`, `in 5s`, with the instant itself.
std::string when(const std::string& stamp) {
  const auto at = parse_rfc3339(stamp);
  if (!at)
    return stamp;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(*at - std::chrono::system_clock::now());
  const auto text = left.count() > 0 ? "in " + human_duration(left) : human_duration(-left) + " ago";
  return stamp + " (" + text + ")";
}

void line(const std::string& name, const std::string& value) {
  if (!value.empty())
    std::cout << name << ':' << std::string(name.size() < 18 ? 19 - name.size() : 1, ' ') << printable(value) << '\n';
}

void map_lines(const std::string& name, const json& object, const char* field) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->contains(field) || !(*metadata)[field].is_object())
    return;
  auto label = name;
  for (const auto& [key, value] : (*metadata)[field].items()) {
    std::cout << (label.empty() ? std::string(20, ' ') : label + ":" + std::string(19 - label.size(), ' ')) << printable(key) << '='
              << (value.is_string() ? printable(value.get<std::string>()) : value.dump()) << '\n';
    label.clear();
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

/// The last runs, wherever a dump of the repository's actor has them.
const json* find_runs(const json& at, int depth = 0) {
  if (depth > 6 || !at.is_structured())
    return nullptr;
  if (at.is_object() && at.contains("runs") && at["runs"].is_array())
    return &at["runs"];
  for (const auto& v : at)
    if (const auto* found = find_runs(v, depth + 1))
      return found;
  return nullptr;
}

void describe_runs(api_client& client, const std::string& ns, const std::string& name) {
  const auto text = client.get("/dump?name=" + encode(ns + "/" + name) + "&deep=true");
  if (!text)
    return; // an actor that does not answer hinders no description
  const auto dump = parse_json(*text);
  const auto* runs = find_runs(dump);
  if (runs == nullptr || runs->empty())
    return;
  std::cout << "Last runs:\n";
  std::vector<std::string> columns;
  for (const auto& [key, value] : runs->front().items())
    if (!value.is_structured())
      columns.push_back(key);
  auto headers = columns;
  if (!headers.empty())
    headers.front().insert(0, "  ");
  text_table table{headers};
  for (const auto& run : *runs) {
    std::vector<std::string> row;
    for (const auto& c : columns)
      row.push_back((row.empty() ? "  " : "") + (run.contains(c) ? cell_text(run[c]) : std::string{}));
    table.add(std::move(row));
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
  line("Package revisions", text_at(status, {"packageCount"}));
  line("Observed generation", text_at(status, {"observedGeneration"}));
  line("One-time sync done", when(text_at(status, {"observedRunOnceAt"})));
  describe_conditions(status);
  describe_runs(client, ns, name);
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
  const auto* kind = find_kind(o.kind);
  if (kind == nullptr)
    return usage("unknown kind \"" + o.kind + "\": repository, packagerevision, packagerevisionresources or package");
  api_client client{g.server};
  int outcome = exit_ok;
  bool first = true;
  for (const auto& name : o.names) {
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
