#include "tools/veranda/commands.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

namespace veranda::cli {
namespace {

constexpr const char* table_accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
constexpr const char* json_accept = "application/json";
constexpr std::chrono::milliseconds ended_too_soon{200};
constexpr int page_size = 10'000; // one transaction for nearly everybody
constexpr int resources_page_size = 500; ///< these carry whole packages

/// One `get`: what is asked, and how it is shown.
class getter {
public:
  getter(const globals& g, const get_options& o, const cli_kind& kind) : o_(o), kind_(kind), client_(g.server), ns_(g.all_namespaces ? "" : g.ns) {}

  int run() {
    if (o_.names.size() == 1 && !o_.watch && (o_.output == "json" || o_.output == "yaml"))
      return one();
    if (o_.names.empty())
      return list({});
    for (const auto& name : o_.names)
      if (const auto status = o_.watch ? list(name) : named(name); status != exit_ok)
        return status;
    finish_items();
    for (const auto& f : missing_) // behind what was found
      fail(f);
    return missing_.empty() ? exit_ok : exit_error;
  }

private:
  [[nodiscard]] bool tabular() const { return o_.output == "table" || o_.output == "wide" || o_.output == "name"; }
  [[nodiscard]] const char* accept() const { return tabular() ? table_accept : json_accept; }

  std::string query(const std::string& name) const {
    std::string q;
    if (!o_.labels.empty())
      q += "&labelSelector=" + encode(o_.labels);
    auto fields = o_.fields;
    if (!name.empty())
      fields += (fields.empty() ? "" : ",") + ("metadata.name=" + name);
    if (!fields.empty())
      q += "&fieldSelector=" + encode(fields);
    return q;
  }

  int one() {
    const auto text = client_.get(object_path(kind_, ns_, o_.names.front()));
    if (!text)
      return fail(text.error());
    const auto object = parse_json(*text);
    std::cout << (o_.output == "json" ? to_text(object) + "\n" : to_yaml(object));
    return exit_ok;
  }

  int named(const std::string& name) {
    const auto text = client_.get(object_path(kind_, ns_, name), accept());
    if (!text && text.error().code != ec::not_found)
      return fail(text.error());
    if (!text) {
      missing_.push_back(text.error());
      return exit_ok;
    }
    const auto body = parse_json(*text);
    if (tabular())
      show_table(body);
    else
      show_item(body);
    return exit_ok;
  }

  /// Lists page by page, so that neither side holds everything; then watches if asked.
  int list(const std::string& name) {
    std::string token;
    do {
      const int size = kind_.kind == "PackageRevisionResources" && !tabular() ? resources_page_size : page_size;
      const auto path = object_path(kind_, ns_) + "?limit=" + std::to_string(size) + query(name) + (token.empty() ? "" : "&continue=" + encode(token));
      const auto text = client_.get(path, accept());
      if (!text)
        return fail(text.error());
      const auto page = parse_json(*text);
      if (!page.is_object())
        return fail({ec::unavailable, "the answer is not a list", client_.server(), {}, {}});
      version_ = text_at(page, {"metadata", "resourceVersion"});
      token = text_at(page, {"metadata", "continue"});
      show_page(page);
    } while (!token.empty());
    if (o_.watch)
      return watch(name);
    if (tabular() && o_.output != "name" && !any_)
      std::cerr << "No resources found" << (ns_.empty() ? "" : " in " + ns_ + " namespace") << ".\n";
    if (!tabular())
      finish_items();
    return exit_ok;
  }

  void show_page(const json& page) {
    if (tabular())
      return show_table(page);
    if (const auto items = page.find("items"); items != page.end())
      for (const auto& item : *items)
        show_item(item);
  }

  void show_table(const json& table) {
    if (const auto columns = table.find("columnDefinitions"); columns != table.end() && columns->is_array() && columns_.empty())
      columns_ = *columns;
    const auto rows = table.find("rows");
    if (rows == table.end())
      return;
    const bool namespaced = ns_.empty();
    if (!table_)
      table_.emplace(table_headers(columns_, o_.output == "wide", namespaced));
    for (const auto& row : *rows) {
      any_ = true;
      if (o_.output == "name")
        std::cout << lower_kind() << '.' << kind_.group << '/' << text_at(row, {"object", "metadata", "name"}) << '\n';
      else
        table_->add(table_row(columns_, row, o_.output == "wide", namespaced));
    }
    if (o_.watch || text_at(table, {"metadata", "continue"}).empty())
      if (o_.names.size() < 2 || o_.watch)
        table_->print(std::cout);
  }

  [[nodiscard]] std::string lower_kind() const {
    auto s = kind_.kind;
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
  }

  /// Items of a list as they come; a watch prints object after object.
  void show_item(const json& item) {
    if (o_.watch) {
      std::cout << (o_.output == "json" ? to_text(item) + "\n" : "---\n" + to_yaml(item)) << std::flush;
      return;
    }
    if (o_.output == "yaml") {
      if (!any_)
        std::cout << "apiVersion: " << kind_.group << "/v1alpha1\nitems:\n";
      std::cout << to_yaml(json::array({item}));
    } else {
      std::cout << (any_ ? ",\n" : "{\n  \"apiVersion\": \"" + kind_.group + "/v1alpha1\",\n  \"kind\": \"" + kind_.kind + "List\",\n  \"items\": [\n")
                << indented(to_text(item), 4);
    }
    any_ = true;
  }

  void finish_items() {
    if (finished_ || o_.watch)
      return;
    finished_ = true;
    if (tabular()) {
      if (table_)
        table_->print(std::cout);
    } else if (o_.output == "yaml") {
      if (!any_)
        std::cout << "apiVersion: " << kind_.group << "/v1alpha1\nitems: []\n";
      std::cout << "kind: " << kind_.kind << "List\nmetadata:\n  resourceVersion: \"" << version_ << "\"\n";
    } else {
      if (!any_)
        std::cout << "{\n  \"apiVersion\": \"" << kind_.group << "/v1alpha1\",\n  \"kind\": \"" << kind_.kind << "List\",\n  \"items\": [";
      std::cout << (any_ ? "\n  " : "") << "],\n  \"metadata\": {\n    \"resourceVersion\": \"" << version_ << "\"\n  }\n}\n";
    }
  }

  int watch(const std::string& name) {
    for (;;) {
      const auto began = std::chrono::steady_clock::now();
      std::optional<failure> refused;
      const auto path = object_path(kind_, ns_) + "?watch=true&allowWatchBookmarks=true&resourceVersion=" + version_ + query(name);
      const auto ended = client_.watch(path, accept(), [&](const std::string& line) { return show_event(parse_json(line), refused); });
      if (!ended)
        return fail(ended.error());
      if (refused)
        return fail(*refused);
      if (std::chrono::steady_clock::now() - began < ended_too_soon) // the server ended it: go on where it stopped, at once unless it makes a habit of it
        std::this_thread::sleep_for(ended_too_soon);
    }
  }

  bool show_event(const json& event, std::optional<failure>& refused) {
    const auto type = text_at(event, {"type"});
    const auto object = event.find("object");
    if (object == event.end())
      return true;
    if (type == "ERROR") {
      refused = failure{ec::stale, text_at(*object, {"message"}) + "; run the command again", {}, {}, {}};
      return false;
    }
    const auto version = text_at(*object, {"metadata", "resourceVersion"});
    if (!version.empty())
      version_ = version;
    if (type == "BOOKMARK")
      return true;
    if (tabular())
      show_table(*object);
    else
      show_item(*object);
    return true;
  }

  const get_options& o_;
  const cli_kind& kind_;
  api_client client_;
  std::string ns_;
  std::string version_;
  json columns_ = json::array();
  std::optional<text_table> table_;
  bool any_ = false;
  std::vector<failure> missing_;
  bool finished_ = false;
};

} // namespace

int run_get(const globals& g, const get_options& o) {
  const auto asked = parse_target(o.kind, o.names);
  if (!asked)
    return usage(asked.error().what);
  if (!asked->names.empty() && g.all_namespaces)
    return usage("a resource cannot be retrieved by name across all namespaces");
  if (!asked->names.empty() && !(o.labels.empty() && o.fields.empty()))
    return usage("selectors cannot be used together with names");
  if (asked->names.size() > 1 && o.watch)
    return usage("-w follows one object or a whole list, not several names");
  auto named = o;
  named.names = asked->names;
  return getter{g, named, *asked->kind}.run();
}

} // namespace veranda::cli
