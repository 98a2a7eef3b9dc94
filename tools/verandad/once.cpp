#include "tools/verandad/once.hpp"

#include "adapters/codec/repository_codec.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <unistd.h>

namespace veranda {

namespace {

constexpr int exit_interrupted = 130;

/// One line on a terminal that is overwritten: what the workers do now. Nothing in a pipe.
class progress_line {
public:
  explicit progress_line(const cell_registry& cells) : cells_(cells), visible_(isatty(STDERR_FILENO) == 1) {}
  ~progress_line() { show({}); }

  void update() {
    if (!visible_)
      return;
    std::size_t done = 0;
    std::size_t all = 0;
    std::string working;
    for (const auto& view : cells_.snapshot()) {
      if (view.kind == "repository") {
        ++all;
        done += view.state == "Ready" || view.state == "Error" ? 1U : 0U;
      } else if (view.kind == "worker" && view.state != "idle" && !view.state.empty()) {
        working = view.state;
        for (const auto& [name, value] : view.details)
          if ((name == "job" || name == "progress") && !value.empty())
            working += "  " + value;
      }
    }
    show(std::to_string(done) + "/" + std::to_string(all) + " repositories  " + working);
  }

private:
  void show(const std::string& text) {
    if (visible_ && text != shown_)
      std::cerr << "\r\033[K" << text.substr(0, 120) << std::flush;
    shown_ = text;
  }

  const cell_registry& cells_;
  const bool visible_;
  std::string shown_;
};

struct row {
  std::string ns, name, ready, revisions, commit, message;
};

std::vector<row> rows_of(const std::vector<store::stored_object>& objects) {
  std::vector<row> rows{{"NAMESPACE", "NAME", "READY", "REVISIONS", "COMMIT", "MESSAGE"}};
  for (const auto& object : objects) {
    const auto status = codec::decode_status(object.json);
    row r{object.key.ns, object.key.name, "Unknown", std::to_string(status.package_count), status.git_commit_hash.substr(0, 12), {}};
    if (!status.conditions.empty()) {
      r.ready = status.conditions.front().status;
      r.message = status.conditions.front().message;
    }
    rows.push_back(std::move(r));
  }
  return rows;
}

void print(const std::vector<row>& rows) {
  std::string row::*const columns[] = {&row::ns, &row::name, &row::ready, &row::revisions, &row::commit, &row::message};
  for (const auto& r : rows) {
    for (const auto column : columns) {
      std::size_t width = 0;
      for (const auto& other : rows)
        width = std::max(width, (other.*column).size());
      const bool last = column == &row::message;
      std::cout << r.*column << (last ? "\n" : std::string(width - (r.*column).size() + 3, ' '));
    }
  }
}

} // namespace

int run_once(running_system& system, const std::function<bool()>& give_up) {
  std::optional<msg::first_syncs> sums;
  {
    progress_line progress{system.cells()};
    sums = system.wait_first_syncs([&] {
      progress.update();
      return give_up();
    });
  }
  if (!sums)
    return exit_interrupted;
  auto reader = system.open_objects();
  auto listed = reader ? (*reader)->list("repositories.config.porch.kpt.dev", {}) : result<store::object_list>{reader.error()};
  if (!listed) {
    std::cerr << "verandad: " << describe(listed.error()) << "\n";
    return 1;
  }
  print(rows_of(listed->items));
  const auto problems = system.manifest_problems();
  for (const auto& p : problems)
    std::cerr << "verandad: " << source::describe(p) << "\n";
  if (sums->suspended > 0)
    std::cerr << "verandad: " << sums->suspended << " suspended\n";
  return sums->failed == 0 && problems.empty() ? 0 : 1;
}

} // namespace veranda
