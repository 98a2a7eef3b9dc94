// links: veranda_cli
#define BOOST_TEST_MODULE cli_seeing
#include "tools/veranda/commands.hpp"

#include <boost/test/unit_test.hpp>

#include <sstream>

using namespace veranda;
using namespace veranda::cli;

namespace {

wall_time at(const char* text) { return *parse_rfc3339(text); }

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

json explanation() {
  return json::parse(R"json({"kind": "RepositoryExplanation", "namespace": "team", "name": "r", "time": "2026-03-10T10:00:00Z", "state": "retrying", "why": "the last sync failed",
    "queue": "number 3 of 12", "next": {"time": "2026-03-10T10:00:05Z", "cause": "retry", "why": "a retry after the last error (unreachable)"},
    "planned": [{"time": "2026-03-10T10:00:05Z", "cause": "retry"}, {"time": "2026-03-10T10:15:00Z", "cause": "cron"}],
    "schedule": {"expression": "*/15 * * * *", "timeZone": "UTC", "next": ["2026-03-10T10:15:00Z", "2026-03-10T10:30:00Z"]},
    "lastSuccess": "2026-03-10T09:45:00Z", "commit": "0123", "packages": 2, "revisions": 5, "bad": 1,
    "lastError": {"code": "unreachable", "error": "no route\u001b[31m", "advice": "the sync is retried"}, "notes": ["PackagesDegraded: 1 item"],
    "runs": [{"syncID": "a-1", "cause": "start", "started": "2026-03-10T09:45:00Z", "outcome": "ok", "seconds": 75.5,
              "phases": {"listing": 0.25, "waiting": 0, "fetch": 12.5, "discovery": 1, "apply": 61}, "counts": {"cachedOnly": 1, "externalOnly": 2, "both": 3, "changed": 4, "bad": 5}},
             {"syncID": "a-2", "cause": "cron", "started": "2026-03-10T09:59:00Z", "outcome": "error", "seconds": 30, "phases": {}, "counts": {"both": 0}, "error": "unreachable: no route"}]})json");
}

json load() {
  return json::parse(R"({"kind": "Load", "uptimeSeconds": 120, "windowSeconds": 600, "workers": {"all": 4, "busy": 2}, "queued": 7, "memoryBytes": 104857600,
    "api": {"requests": 240, "connections": 3, "watches": 1}, "repositories": [
    {"namespace": "a", "name": "small", "syncs": 2, "failures": 0, "busySeconds": 0.5, "fetchedBytes": 2048, "packages": 1, "revisions": 2, "ready": true, "lastSeconds": 0.25, "lateSeconds": 0.001},
    {"namespace": "a", "name": "big", "syncs": 1, "failures": 1, "busySeconds": 200, "fetchedBytes": 0, "packages": 90, "revisions": 900, "ready": false, "lastSeconds": 200},
    {"namespace": "b", "name": "new", "syncs": 0, "failures": 0, "busySeconds": 0, "fetchedBytes": 0, "packages": 0, "revisions": 0}]})");
}

/// Words with one space between.
std::string words(const std::string& text) {
  std::istringstream in{text};
  std::string out;
  for (std::string word; in >> word;)
    out += (out.empty() ? "" : " ") + word;
  return out;
}

/// Namespace and name of a table's rows in their order.
std::string names(const std::string& text) {
  std::istringstream in{text};
  std::string line, out;
  for (int n = 0; std::getline(in, line); ++n) {
    std::istringstream row{line};
    std::string ns, name;
    if (n > 2 && row >> ns >> name)
      out += ns + "/" + name + ";";
  }
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(an_explanation_tells_of_the_mirror) {
  const auto now = at("2026-03-10T10:00:00Z");
  auto e = explanation();
  BOOST_TEST(!has(explanation_text(e, now), "Mirror"), "none was seen");
  e["mirror"] = {{"bytes", 3 << 19}, {"lastUsed", "2026-03-10T09:45:00Z"}};
  BOOST_TEST(has(words(explanation_text(e, now)), "Mirror: 1.5Mi, last used 2026-03-10T09:45:00Z (15m ago)"));
  e["mirror"] = {{"bytes", 0}, {"lastUsed", "2026-03-10T09:45:00Z"}, {"removed", "2026-03-10T09:50:00Z"}};
  BOOST_TEST(has(words(explanation_text(e, now)), "Mirror: removed 2026-03-10T09:50:00Z (10m ago) to stay within --mirror-max-bytes; the next sync that finds a change fetches everything"));
}

BOOST_AUTO_TEST_CASE(an_explanation_reads_from_what_is_to_why_and_what_was) {
  const auto text = explanation_text(explanation(), at("2026-03-10T10:00:00Z"));
  for (const char* part : {"Name:           team/r\n", "State:          retrying: the last sync failed\n", "Queue:          number 3 of 12\n",
                           "Next sync:      2026-03-10T10:00:05Z (in 5s) by retry: a retry after the last error (unreachable)\n",
                           "Also planned:   2026-03-10T10:15:00Z (in 15m) by cron\n", "Schedule:       cron \"*/15 * * * *\", zone UTC unless it names one\n",
                           "Next five times: 2026-03-10T10:15:00Z  2026-03-10T10:30:00Z\n", "Last success:   2026-03-10T09:45:00Z (15m ago)\n",
                           "Last error:     no route?[31m (unreachable)\n", "What to do:     the sync is retried\n", "Note:           PackagesDegraded: 1 item\n"})
    BOOST_TEST(has(text, part), part << " is missing from\n" << text);
  BOOST_TEST(has(words(text), "start ok 75s 0.250s - 12.50s 1.00s 61s 1 2 3 4 5"), text);
  BOOST_TEST(has(words(text), "cron error 30.00s - - - - - - - - - - unreachable: no route"), text);
}

BOOST_AUTO_TEST_CASE(an_explanation_of_little_is_short) {
  const auto text = explanation_text(json::parse(R"({"namespace": "n", "name": "r", "state": "starting", "why": "w", "next": {"why": "not planned yet"},
      "schedule": {"every": "10m0s", "timeZone": "UTC", "next": []}})"), at("2026-03-10T10:00:00Z"));
  BOOST_TEST(has(text, "Next sync:      not planned yet\n"), text);
  BOOST_TEST(has(text, "Schedule:       every 10m0s\n"), text);
  BOOST_TEST(has(text, "Last syncs:     none yet\n"), text);
  BOOST_TEST(!has(text, "Last error"));
}

BOOST_AUTO_TEST_CASE(top_begins_with_the_process) {
  BOOST_TEST(has(top_text(load(), "busy", "", {}, 0, 0), "up 2m, workers busy 2 of 4, queued 7, memory 100Mi, API 2.0 requests/s, connections 3, watches 1\n\n"));
  auto more = load();
  more["mirrors"] = {{"count", 3}, {"bytes", 5 << 20}, {"maxBytes", 0}, {"removed", 0}};
  BOOST_TEST(has(top_text(more, "busy", "", {}, 0, 0), "memory 100Mi, mirrors 3 with 5.0Mi, API"));
  more["mirrors"]["maxBytes"] = 8 << 20;
  more["mirrors"]["removed"] = 2;
  BOOST_TEST(has(top_text(more, "busy", "", {}, 0, 0), "mirrors 3 with 5.0Mi of 8.0Mi (2 removed), API"));
  BOOST_TEST(has(top_text(load(), "busy", "", top_sample{200, 110}, 0, 0), "API 4.0 requests/s"));
  BOOST_TEST(has(top_text(load(), "busy", "", top_sample{9000, 7000}, 0, 0), "API 2.0 requests/s")); // it was started anew
}

BOOST_AUTO_TEST_CASE(top_shows_the_costliest_first) {
  const auto text = top_text(load(), "busy", "", {}, 0, 0);
  BOOST_TEST(names(text) == "a/big;a/small;b/new;", text);
  BOOST_TEST(names(top_text(load(), "syncs", "", {}, 0, 0)) == "a/small;a/big;b/new;");
  BOOST_TEST(names(top_text(load(), "name", "a", {}, 0, 0)) == "a/big;a/small;");
  BOOST_TEST(has(words(text), "a big false 0.50 1 3m20s 3m20s - 0B 90 900"), text);
  BOOST_TEST(has(text, "2.0Ki"), text);
}

BOOST_AUTO_TEST_CASE(top_keeps_to_its_terminal) {
  std::istringstream in{top_text(load(), "busy", "", {}, 20, 4)};
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines)
    BOOST_TEST(line.size() <= 20U, line);
  BOOST_TEST(lines == 4U);
}
