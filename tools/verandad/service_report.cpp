#include "tools/verandad/service_report.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace veranda {

namespace {

constexpr std::chrono::seconds longest_start{60};
constexpr int signs_in_watchdog = 4; ///< so that a late one is no death

/// They compute and pass messages, so a long handler is a defect. Writers and workers wait for disks and remotes, which a restart would not mend.
constexpr std::array<std::string_view, 7> never_waiting{"supervisor", "repository", "remote", "hosts", "worker-pool", "lister-pool", "distant-lister-pool"};

/// What the lines with this mark say, behind one another.
std::string marked(std::string_view lines, std::string_view mark) {
  std::string out;
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    if (line.starts_with(mark))
      out.append(out.empty() ? "" : "; ").append(line.substr(mark.size()));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
  }
  return out;
}

} // namespace

std::string service_status(const api::probe& ready, const std::string& url) {
  if (!ready.ok)
    return "not ready: " + marked(ready.text, "[-]");
  const auto look = marked(ready.text, "[!]");
  return "serving " + url + (look.empty() ? "" : ", but look at: " + look);
}

bool counts_as_started(bool ready, std::chrono::nanoseconds serving_for) { return ready || serving_for >= longest_start; }

bool gets_on(const std::vector<kind_totals>& totals) {
  return std::ranges::none_of(totals, [](const kind_totals& of) { return of.stuck > 0 && std::ranges::find(never_waiting, of.kind) != never_waiting.end(); });
}

service_report::service_report(process::service_manager& manager, std::string url, steady_time begun)
    : manager_(manager), url_(std::move(url)), begun_(begun), next_sign_(begun) {}

void service_report::update(const api::probe& ready, const cell_registry& cells, steady_time now) {
  if (!manager_.listens())
    return;
  manager_.status(service_status(ready, url_));
  if (!started_ && counts_as_started(ready.ok, now - begun_)) {
    manager_.ready();
    started_ = true;
  }
  if (manager_.watchdog() && now >= next_sign_ && gets_on(cells.totals(now))) {
    manager_.alive();
    next_sign_ = now + *manager_.watchdog() / signs_in_watchdog;
  }
}

void service_report::reloading() { manager_.reloading(); }

void service_report::reloaded() {
  manager_.ready();
  started_ = true;
}

} // namespace veranda
