#include "tools/verandad/once.hpp"

#include "adapters/codec/repository_codec.hpp"
#include "adapters/source/manifest_file.hpp"
#include "tools/verandad/progress.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

namespace veranda {

namespace {

constexpr int exit_interrupted = 130;

/// Columns of the terminal on standard error; 80 when it does not say.
std::size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80U;
}

/// One line on a terminal that is overwritten: what the workers do now. Nothing in a pipe. Written anew each time, for a line of the log may have taken its place.
class progress_line {
public:
  explicit progress_line(const cell_registry& cells) : cells_(cells), visible_(shows_progress()) {}
  ~progress_line() {
    if (visible_)
      std::cerr << "\r\x1b[K" << std::flush;
  }

  void update() {
    if (visible_) // the last column stays free: some terminals go to the next line from there
      std::cerr << "\r" + fit_to_columns(progress_text(cells_.snapshot()), terminal_width() - 1) + "\x1b[K" << std::flush;
  }

private:
  const cell_registry& cells_;
  const bool visible_;
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

bool shows_progress() {
  const char* const type = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && type != nullptr && *type != '\0' && std::string_view{type} != "dumb";
}

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
  auto listed = reader ? (*reader)->list(std::string{source::repositories_resource}, {}) : result<store::object_list>{reader.error()};
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
