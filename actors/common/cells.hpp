#pragma once

#include "messages/model/time.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace veranda {

using steady_time = std::chrono::steady_clock::time_point;

/// A timer that an actor has armed.
struct cell_timer {
  std::string name;
  wall_time due{};
  bool operator==(const cell_timer&) const = default;
};

/// A consistent copy of one cell, taken at one instant.
struct cell_view {
  std::string kind;
  std::string key;     ///< `namespace/name`, or empty
  std::string state;   ///< in a word or two
  std::string handler; ///< what the actor works on now, empty when idle
  std::chrono::nanoseconds handler_age{0};
  bool stuck = false; ///< the current handler runs longer than it should
  std::size_t mailbox_depth = 0;
  std::size_t mailbox_max = 0;
  std::vector<std::pair<std::string, std::uint64_t>> messages; ///< handled, by type, sorted
  std::chrono::nanoseconds handler_total{0};
  std::chrono::nanoseconds handler_max{0};
  std::vector<cell_timer> timers; ///< sorted by name
  std::uint32_t in_flight = 0;
  std::uint32_t restarts = 0;
  std::string last_error;
  std::vector<std::pair<std::string, std::string>> details; ///< in the order they were first set
};

/// What all actors of one kind have done since the process began, those that have ended included.
struct kind_totals {
  std::string kind;
  std::uint64_t actors = 0; ///< alive
  std::uint64_t stuck = 0;
  std::size_t mailbox_max = 0; ///< of those alive
  std::chrono::nanoseconds handler_total{0};
  std::uint64_t restarts = 0;
  std::vector<std::pair<std::string, std::uint64_t>> messages; ///< handled, by type, sorted
};

namespace detail {
struct cell_shelf;
}

/// What one actor shows of itself. Written by the actor that owns it, readable by any thread without a message; each read sees one
/// consistent state. Every call is short: one uncontended lock, no I/O. Texts are cut at 512 bytes. Names given as `const char*` are
/// kept as they are and must be literals.
class cell {
public:
  /// Only through `cell_registry::add`.
  cell(std::shared_ptr<detail::cell_shelf> shelf, std::string_view kind, std::string key);
  /// Leaves the registry; what the cell counted stays in the totals of its kind.
  ~cell();
  cell(const cell&) = delete;
  cell& operator=(const cell&) = delete;

  [[nodiscard]] const std::string& kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& key() const noexcept { return key_; }

  void set_state(std::string_view state);
  /// Adds the timer or moves it.
  void arm_timer(const char* name, wall_time due);
  void disarm_timer(const char* name);
  void set_in_flight(std::uint32_t requests);
  void set_restarts(std::uint32_t restarts);
  void set_last_error(std::string_view text);
  void set_detail(const char* name, std::string_view value);
  void remove_detail(const char* name);
  /// How long one handler may run before the cell counts as stuck; for actors whose work is long by nature.
  void set_stuck_after(std::chrono::milliseconds limit);

  [[nodiscard]] cell_view view(steady_time now) const;

private:
  friend class handling;
  friend class cell_registry;
  friend struct detail::cell_shelf;
  struct running {
    const char* name = nullptr;
    steady_time since{};
  };
  running begin(const char* message, std::size_t mailbox_depth);
  void end(const running& outer);
  void add_to(kind_totals& totals, steady_time now) const;
  [[nodiscard]] bool stuck_at(steady_time now) const;

  const std::shared_ptr<detail::cell_shelf> shelf_;
  const std::string kind_;
  const std::string key_;
  std::size_t slot_ = 0; ///< place on the shelf, guarded by the shelf's mutex

  mutable std::mutex mutex_; ///< guards everything below
  std::string state_;
  std::string last_error_;
  running running_;
  std::chrono::nanoseconds handler_total_{0};
  std::chrono::nanoseconds handler_max_{0};
  std::chrono::milliseconds stuck_after_;
  std::uint32_t mailbox_depth_ = 0;
  std::uint32_t mailbox_max_ = 0;
  std::uint32_t in_flight_ = 0;
  std::uint32_t restarts_ = 0;
  std::vector<std::pair<const char*, std::uint64_t>> messages_;
  std::vector<std::pair<const char*, wall_time>> timers_;
  std::vector<std::pair<const char*, std::string>> details_;
};

using cell_ptr = std::shared_ptr<cell>;

/// Put at the top of every handler: `const handling h{*cell, "sync_now", self->mailbox().size()};`. Says what the actor works on, and
/// counts the message and its time when the handler ends. May nest; the inner one counts its own time too.
class handling {
public:
  /// `message` must be a literal.
  handling(cell& c, const char* message, std::size_t mailbox_depth) : cell_(c), outer_(c.begin(message, mailbox_depth)) {}
  ~handling() { cell_.end(outer_); }
  handling(const handling&) = delete;
  handling& operator=(const handling&) = delete;

private:
  cell& cell_;
  cell::running outer_;
};

/// All cells of the process. Thread safe. Cells may outlive it.
class cell_registry {
public:
  static constexpr std::chrono::milliseconds default_stuck_after{10'000};

  explicit cell_registry(std::chrono::milliseconds stuck_after = default_stuck_after);

  /// A new cell, on show until its last owner lets go of it. Several may have the same kind and key (an actor and its successor).
  [[nodiscard]] cell_ptr add(std::string_view kind, std::string key = {});
  /// Counts a restart of an actor of this kind.
  void count_restart(std::string_view kind);

  /// Copies of all cells, sorted by kind and key. A `name` that is not empty keeps those whose key is `name`, or `<namespace>/name`.
  [[nodiscard]] std::vector<cell_view> snapshot(std::string_view name = {}, steady_time now = std::chrono::steady_clock::now()) const;
  /// Sums by kind, sorted. Counts never fall.
  [[nodiscard]] std::vector<kind_totals> totals(steady_time now = std::chrono::steady_clock::now()) const;
  [[nodiscard]] std::size_t size() const;

private:
  std::shared_ptr<detail::cell_shelf> shelf_;
};

} // namespace veranda
