#include "actors/logic/admission.hpp"

#include <algorithm>

namespace veranda::logic {
namespace {

constexpr std::size_t most_people_in_a_row = 3;
constexpr std::size_t max_remembered = 100'000;

std::string why_words(admission_wait cause, const std::string& what) {
  switch (cause) {
    case admission_wait::slots: return "all " + what + "s are busy";
    case admission_wait::host: return "as many work on its host as may";
    case admission_wait::unproven: return "its host did not answer yet, and few " + what + "s try such hosts";
    case admission_wait::own_turn: return "others of its namespace are before it, and namespaces take turns";
  }
  return {};
}

} // namespace

std::string in_words(const admission_place& place, std::size_t waiting, const std::string& what) {
  return "number " + std::to_string(place.position) + " of " + std::to_string(waiting) + " that wait for a " + what + ": " + why_words(place.cause, what);
}

admission::standing admission::standing_of(const std::string& host) const {
  if (limits_.unproven == 0 || host.empty()) return standing::answering;
  const auto known = answers_.find(host);
  return known == answers_.end() ? standing::unknown : known->second ? standing::answering : standing::failing;
}

bool admission::is_full(const std::string& host, const host_load& load) const noexcept {
  return limits_.per_host != 0 && !host.empty() && load.running >= limits_.per_host;
}

bool admission::is_unproven_full(const std::string& host, const host_load& load) const {
  const auto s = standing_of(host);
  if (s == standing::answering) return false;
  return load.running >= limits_.unproven_per_host || unproven_running_ >= limits_.unproven || (s == standing::failing && failing_running_ >= std::max<std::size_t>(1, limits_.failing));
}

void admission::count_unproven(standing s, int by) {
  unproven_running_ += s != standing::answering ? static_cast<std::size_t>(by) : 0;
  failing_running_ += s == standing::failing ? static_cast<std::size_t>(by) : 0;
}

void admission::shift(const std::string& host, int waiting, int running) {
  auto& load = hosts_[host];
  startable_hosts_ -= startable(host, load) ? 1 : 0;
  load.waiting += static_cast<std::size_t>(waiting);
  load.running += static_cast<std::size_t>(running);
  startable_hosts_ += startable(host, load) ? 1 : 0;
  if (load.waiting == 0 && load.running == 0) hosts_.erase(host);
}

admission_answer admission::push(admission_job job) {
  if (jobs_.contains(job.id) || running_.contains(job.id)) return admission_answer::duplicate;
  if (jobs_.size() >= limits_.max_queued) return admission_answer::overloaded;
  auto& l = lane_of(job);
  auto& t = l.tenants[job.ns];
  if (t.size == 0) {
    t.turn = l.next_turn++;
    l.turns.emplace(t.turn, job.ns);
  }
  const auto arrival = next_arrival_++;
  t.by_host[job.host].emplace(arrival, job.id);
  ++t.size;
  ++l.size;
  shift(job.host, 1, 0);
  const auto id = job.id;
  jobs_.emplace(id, waiting_job{.job = std::move(job), .arrival = arrival});
  return admission_answer::accepted;
}

std::optional<std::uint64_t> admission::first_startable(const lane& l) const {
  for (const auto& [turn, ns] : l.turns) {
    const fifo* best = nullptr;
    for (const auto& [host, queue] : l.tenants.at(ns).by_host) {
      if (busy(host, hosts_.at(host))) continue;
      if (best == nullptr || queue.begin()->first < best->begin()->first) best = &queue;
    }
    if (best != nullptr) return best->begin()->second;
  }
  return std::nullopt;
}

void admission::take_out(const waiting_job& w) {
  auto& l = lane_of(w.job);
  const auto t = l.tenants.find(w.job.ns);
  const auto queue = t->second.by_host.find(w.job.host);
  queue->second.erase(w.arrival);
  if (queue->second.empty()) t->second.by_host.erase(queue);
  --l.size;
  if (--t->second.size == 0) {
    l.turns.erase(t->second.turn);
    l.tenants.erase(t);
  }
  shift(w.job.host, -1, 0);
  jobs_.erase(w.job.id);
}

std::optional<admission_job> admission::pop() {
  if (startable_hosts_ == 0 || (limits_.slots != 0 && running_.size() >= limits_.slots)) return std::nullopt;
  const bool turn_of_the_rest = people_in_a_row_ >= most_people_in_a_row;
  auto id = first_startable(lanes_[turn_of_the_rest ? 1 : 0]);
  if (!id) id = first_startable(lanes_[turn_of_the_rest ? 0 : 1]);
  if (!id) return std::nullopt;
  const auto chosen = jobs_.at(*id);
  take_out(chosen);
  shift(chosen.job.host, 0, 1);
  const auto was = standing_of(chosen.job.host);
  running_.emplace(chosen.job.id, running_job{chosen.job.host, was});
  count_unproven(was, 1);
  people_in_a_row_ = chosen.job.user ? std::min(people_in_a_row_ + 1, most_people_in_a_row) : 0;
  auto& l = lane_of(chosen.job);
  if (const auto t = l.tenants.find(chosen.job.ns); t != l.tenants.end()) { // its namespace goes to the end of the line
    l.turns.erase(t->second.turn);
    t->second.turn = l.next_turn++;
    l.turns.emplace(t->second.turn, chosen.job.ns);
  }
  return chosen.job;
}

void admission::done(std::uint64_t id, std::optional<bool> answered) {
  const auto it = running_.find(id);
  if (it == running_.end()) return;
  const auto ended = it->second;
  running_.erase(it);
  count_unproven(ended.was, -1);
  if (answered && limits_.unproven != 0 && !ended.host.empty()) {
    if (answers_.size() >= max_remembered) answers_.clear();
    answers_.insert_or_assign(ended.host, *answered);
  }
  shift(ended.host, 0, -1);
}

void admission::change_limits(admission_limits limits) {
  limits_ = limits;
  startable_hosts_ = static_cast<std::size_t>(std::ranges::count_if(hosts_, [this](const auto& h) { return startable(h.first, h.second); }));
}

bool admission::cancel(std::uint64_t id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return false;
  const auto gone = it->second;
  take_out(gone);
  return true;
}

std::optional<admission_place> admission::place(std::uint64_t id) const {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return std::nullopt;
  const auto& w = it->second;
  const auto& l = lane_of(w.job);
  const auto& own = l.tenants.at(w.job.ns);
  std::size_t before_in_own = 0;
  for (const auto& [host, queue] : own.by_host) {
    before_in_own += static_cast<std::size_t>(std::distance(queue.begin(), queue.lower_bound(w.arrival)));
  }
  std::size_t ahead = before_in_own; // in its lane
  for (const auto& [ns, t] : l.tenants) {
    if (ns != w.job.ns) ahead += std::min(t.size, before_in_own + (t.turn < own.turn ? 1 : 0));
  }
  const auto people_first = most_people_in_a_row - people_in_a_row_; // then one of the rest, then three people, and so on
  const auto others = !w.job.user            ? std::min(lanes_[0].size, people_first + most_people_in_a_row * ahead)
                      : ahead < people_first ? 0
                                             : std::min(lanes_[1].size, 1 + (ahead - people_first) / most_people_in_a_row);
  const auto& load = hosts_.at(w.job.host);
  const auto cause = is_full(w.job.host, load)            ? admission_wait::host
                     : is_unproven_full(w.job.host, load) ? admission_wait::unproven
                     : before_in_own > 0                  ? admission_wait::own_turn
                                                          : admission_wait::slots;
  return admission_place{ahead + others + 1, cause};
}

} // namespace veranda::logic
