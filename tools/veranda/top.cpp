#include "tools/veranda/commands.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <thread>

#include <csignal>
#include <sys/ioctl.h>
#include <unistd.h>

namespace veranda::cli {
namespace {

constexpr std::chrono::seconds refresh{2};

double number(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string duration(const json& row, const char* name) {
  if (!row.contains(name))
    return "-";
  const auto seconds = number(row, name);
  return seconds < 100 ? fixed(seconds, seconds < 10 ? 2 : 1) + "s" : human_duration(std::chrono::seconds{static_cast<std::int64_t>(seconds)});
}

/// What each order compares; the largest comes first.
struct order {
  std::string name;
  const char* field; ///< null: by name
};
const std::vector<order>& orders() {
  static const std::vector<order> all{{"busy", "busySeconds"}, {"syncs", "syncs"},          {"failures", "failures"}, {"last", "lastSeconds"},
                                      {"late", "lateSeconds"}, {"fetched", "fetchedBytes"}, {"packages", "packages"}, {"name", nullptr}};
  return all;
}

std::string name_of(const json& row) { return text_at(row, {"namespace"}) + "/" + text_at(row, {"name"}); }

std::vector<json> sorted_rows(const json& load, const std::string& sort, const std::string& ns) {
  std::vector<json> rows;
  if (const auto all = load.find("repositories"); all != load.end() && all->is_array())
    for (const auto& row : *all)
      if (row.is_object() && (ns.empty() || text_at(row, {"namespace"}) == ns))
        rows.push_back(row);
  const auto by = std::ranges::find(orders(), sort, &order::name);
  const auto* field = by == orders().end() ? nullptr : by->field;
  std::ranges::stable_sort(rows, [field](const json& a, const json& b) {
    if (field != nullptr && number(a, field) != number(b, field))
      return number(a, field) > number(b, field);
    return name_of(a) < name_of(b);
  });
  return rows;
}

/// Nothing of a daemon that is older and does not tell.
std::string mirrors_text(const json& mirrors) {
  if (!mirrors.contains("bytes"))
    return {};
  const auto most = number(mirrors, "maxBytes"), removed = number(mirrors, "removed");
  return ", mirrors " + text_at(mirrors, {"count"}) + " with " + human_bytes(number(mirrors, "bytes")) + (most > 0 ? " of " + human_bytes(most) : "") +
         (removed > 0 ? " (" + fixed(removed, 0) + " removed)" : "");
}

std::string header(const json& load, std::optional<top_sample> before) {
  const auto part = [&](const char* name) { return load.contains(name) && load[name].is_object() ? load[name] : json::object(); };
  const auto workers = part("workers");
  const auto api = part("api");
  const auto uptime = number(load, "uptimeSeconds");
  const bool restarted = before && (before->uptime >= uptime || static_cast<double>(before->requests) > number(api, "requests"));
  const auto since = before && !restarted ? *before : top_sample{};
  const auto spent = uptime - since.uptime;
  const auto rate = spent > 0 ? (number(api, "requests") - static_cast<double>(since.requests)) / spent : 0;
  return "up " + human_duration(std::chrono::seconds{static_cast<std::int64_t>(uptime)}) + ", workers busy " + text_at(workers, {"busy"}) + " of " + text_at(workers, {"all"}) +
         ", queued " + text_at(load, {"queued"}) + ", memory " + human_bytes(number(load, "memoryBytes")) + mirrors_text(part("mirrors")) + ", API " + fixed(rate, 1) + " requests/s, connections " +
         text_at(api, {"connections"}) + ", watches " + text_at(api, {"watches"});
}

/// Cuts behind `width` characters; 0: nowhere.
std::string cut(std::string_view line, std::size_t width) {
  std::size_t seen = 0, end = 0;
  for (; end < line.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(line[end]) & 0xC0U) != 0x80U;
    if (begins && width > 0 && seen++ == width)
      break;
  }
  return std::string{line.substr(0, end)};
}

std::string bounded(const std::string& text, std::size_t width, std::size_t height) {
  std::string out;
  std::istringstream in{text};
  std::size_t lines = 0;
  for (std::string line; (height == 0 || lines < height) && std::getline(in, line); ++lines)
    out += cut(line, width) + '\n';
  return out;
}

// -- the terminal ----------------------------------------------------------------------------------

constexpr std::string_view enter = "\x1b[?1049h\x1b[?25l"; ///< the other screen, without a cursor
constexpr std::string_view leave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view home = "\x1b[H\x1b[J";

/// Whatever is under way: the terminal is as it was before, and the process ends.
void on_signal(int) {
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, leave.data(), leave.size());
  _exit(130);
}

/// The other screen of a terminal, until its end.
class screen {
public:
  screen() {
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
      std::signal(s, on_signal);
    std::cout << enter << std::flush;
  }
  ~screen() { std::cout << leave << std::flush; }
  screen(const screen&) = delete;
  screen& operator=(const screen&) = delete;

  static void show(const std::string& text) { std::cout << home << text << std::flush; }
  /// Columns and lines.
  static std::pair<std::size_t, std::size_t> size() {
    winsize w{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0 || w.ws_row == 0)
      return {80, 24};
    return {w.ws_col, w.ws_row};
  }
};

result<json> read_load(api_client& client) {
  const auto a = client.call("GET", "/top");
  if (!a)
    return a.error();
  if (a->status == 404)
    return failure{ec::unsupported, "this daemon has no top: it is older than this veranda", client.server(), {}, {}};
  if (a->status != 200)
    return failure_of(*a, "/top");
  auto load = parse_json(a->body);
  if (text_at(load, {"kind"}) != "Load")
    return failure{ec::unavailable, "the answer is no load", client.server(), {}, {}};
  return load;
}

top_sample sample_of(const json& load) {
  const auto api = load.value("api", json::object());
  return {static_cast<std::uint64_t>(number(api, "requests")), number(load, "uptimeSeconds")};
}

/// Until a signal ends the process. A daemon that goes away is waited for.
[[noreturn]] void follow(api_client& client, const top_options& o, const std::string& ns, json load) {
  const screen terminal;
  std::optional<top_sample> before;
  for (std::string problem;;) {
    const auto [width, height] = screen::size();
    const auto room = height > 1 ? height - 1 : 1;
    screen::show(problem.empty() ? top_text(load, o.sort, ns, before, width, room) : bounded("error: " + printable(problem) + "\n", width, room));
    if (problem.empty())
      before = sample_of(load);
    std::this_thread::sleep_for(refresh);
    auto next = read_load(client);
    problem = next ? std::string{} : describe(next.error());
    if (next)
      load = std::move(*next);
  }
}

} // namespace

const std::vector<std::string>& top_orders() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& o : orders())
      all.push_back(o.name);
    return all;
  }();
  return names;
}

std::string top_text(const json& load, const std::string& sort, const std::string& ns, std::optional<top_sample> before, std::size_t width, std::size_t height) {
  const auto minutes = std::max(std::min(number(load, "windowSeconds"), number(load, "uptimeSeconds")), 60.0) / 60.0;
  text_table table{{"NAMESPACE", "NAME", "READY", "SYNCS/MIN", "FAILURES", "BUSY", "LAST", "LATE", "FETCHED", "PACKAGES", "REVISIONS"}};
  for (const auto& row : sorted_rows(load, sort, ns))
    table.add({cell_text(text_at(row, {"namespace"})), cell_text(text_at(row, {"name"})), row.contains("ready") ? text_at(row, {"ready"}) : "-", fixed(number(row, "syncs") / minutes, 2),
               text_at(row, {"failures"}), duration(row, "busySeconds"), duration(row, "lastSeconds"), duration(row, "lateSeconds"), human_bytes(number(row, "fetchedBytes")),
               text_at(row, {"packages"}), text_at(row, {"revisions"})});
  std::ostringstream out;
  out << header(load, before) << "\n\n";
  table.print(out);
  return bounded(out.str(), width, height);
}

int run_top(const globals& g, const top_options& o) {
  const auto ns = g.all_namespaces ? std::string{} : g.ns;
  api_client client{g.server};
  auto load = read_load(client);
  if (!load)
    return fail(load.error());
  if (o.output == "json")
    std::cout << to_text(*load) << '\n';
  else if (o.once || isatty(STDOUT_FILENO) == 0)
    std::cout << top_text(*load, o.sort, ns, std::nullopt, 0, 0);
  else
    follow(client, o, ns, std::move(*load));
  return exit_ok;
}

} // namespace veranda::cli
