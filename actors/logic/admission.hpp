#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace veranda::logic {

struct admission_limits {
  std::size_t slots = 4;            ///< jobs running at once; 0: no limit
  std::size_t per_host = 0;         ///< of them on one host; 0: no limit
  std::size_t unproven = 0;         ///< of them on hosts that did not answer last time or are not known yet; 0: no limit
  std::size_t unproven_per_host = 1; ///< of these on one host
  std::size_t failing = 0;          ///< of these on hosts that did not answer last time
  std::size_t max_queued = 100'000; ///< waiting jobs; beyond it `overloaded`
  bool operator==(const admission_limits&) const = default;
};

struct admission_job {
  std::uint64_t id = 0;
  std::string ns;
  std::string host;  ///< budget that it counts against; empty: none
  bool user = false; ///< a person waits for it
  bool operator==(const admission_job&) const = default;
};

/// Why a job waits.
enum class admission_wait : std::uint8_t {
  slots,     ///< all slots are taken
  host,      ///< its host has as many jobs as one may have
  unproven,  ///< so have the hosts that are not known to answer
  own_turn,  ///< jobs of its namespace are before it, and namespaces take turns
};
struct admission_place {
  std::size_t position = 0; ///< 1 for the next one, as if no host were busy and nothing else came
  admission_wait cause = admission_wait::slots;
  bool operator==(const admission_place&) const = default;
};

/// `number 3 of 40 that wait for a worker: all workers are busy`, of a place among `waiting` and what is waited for.
[[nodiscard]] std::string in_words(const admission_place& place, std::size_t waiting, const std::string& what);

enum class admission_answer : std::uint8_t { accepted, overloaded, duplicate };

/// The queue in front of the worker slots. Jobs of people go first, then the rest, which gets every fourth start all the same; in each of these two lanes namespaces take
/// turns and jobs of one namespace keep their order, except that a job whose host is busy lets those behind it pass. Hosts that may be black holes get a part of the
/// slots only. Over the limit means queued with a visible position.
/// Pure structure, no clock, no thread. `push` and `cancel` are logarithmic, `pop` is constant when nothing may start.
class admission {
public:
  explicit admission(admission_limits limits) : limits_(limits) {}

  /// `duplicate`: the id waits or runs already.
  admission_answer push(admission_job job);
  /// The next job that may start, which now runs until `done`; nothing when all slots are taken or all waiting jobs' hosts are busy.
  std::optional<admission_job> pop();
  /// A running job ended. Unknown ids are ignored. `answered`: whether its host did, as far as that is known.
  void done(std::uint64_t id, std::optional<bool> answered = std::nullopt);
  /// Takes a waiting job out. False when it is not waiting (a running one ends with `done`).
  bool cancel(std::uint64_t id);
  /// Nothing when it is not waiting. Linear in the number of namespaces and in the job's own.
  [[nodiscard]] std::optional<admission_place> place(std::uint64_t id) const;
  /// What runs or waits beyond them goes on.
  void change_limits(admission_limits limits);
  [[nodiscard]] std::size_t waiting() const noexcept { return jobs_.size(); }
  [[nodiscard]] std::size_t running() const noexcept { return running_.size(); }

private:
  using sequence = std::uint64_t;
  using fifo = std::map<sequence, std::uint64_t>; ///< arrival -> id
  struct tenant {
    std::uint64_t turn = 0;              ///< lower goes first
    std::map<std::string, fifo> by_host; ///< no empty ones
    std::size_t size = 0;
  };
  struct lane {
    std::map<std::string, tenant> tenants; ///< by namespace, no empty ones
    std::map<std::uint64_t, std::string> turns; ///< turn -> namespace
    std::uint64_t next_turn = 0;
    std::size_t size = 0;
  };
  struct waiting_job {
    admission_job job;
    sequence arrival = 0;
  };
  struct host_load {
    std::size_t waiting = 0;
    std::size_t running = 0;
  };

  [[nodiscard]] lane& lane_of(const admission_job& job) noexcept { return lanes_[job.user ? 0 : 1]; }
  [[nodiscard]] const lane& lane_of(const admission_job& job) const noexcept { return lanes_[job.user ? 0 : 1]; }
  [[nodiscard]] bool busy(const std::string& host, const host_load& load) const { return is_full(host, load) || is_unproven_full(host, load); }
  enum class standing : std::uint8_t { answering, unknown, failing };
  struct running_job {
    std::string host;
    standing was = standing::answering; ///< when it started
  };
  [[nodiscard]] standing standing_of(const std::string& host) const;
  [[nodiscard]] bool is_full(const std::string& host, const host_load& load) const noexcept;
  [[nodiscard]] bool is_unproven_full(const std::string& host, const host_load& load) const;
  void count_unproven(standing s, int by);
  /// Whether one may start there, as far as the host's own load tells.
  [[nodiscard]] bool startable(const std::string& host, const host_load& load) const noexcept { return load.waiting > 0 && !is_full(host, load); }
  /// Changes a host's load and keeps `startable_hosts_` right.
  void shift(const std::string& host, int waiting, int running);
  [[nodiscard]] std::optional<std::uint64_t> first_startable(const lane& l) const;
  void take_out(const waiting_job& w);

  admission_limits limits_;
  lane lanes_[2];
  std::unordered_map<std::uint64_t, waiting_job> jobs_;
  std::unordered_map<std::uint64_t, running_job> running_;
  std::unordered_map<std::string, host_load> hosts_;
  std::unordered_map<std::string, bool> answers_; ///< hosts that did, or did not, last time
  std::size_t unproven_running_ = 0, failing_running_ = 0;
  std::size_t startable_hosts_ = 0;
  std::size_t people_in_a_row_ = 0; ///< started since the last of the rest
  sequence next_arrival_ = 0;
};

} // namespace veranda::logic
