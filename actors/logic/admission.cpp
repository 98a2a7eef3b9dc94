#include "actors/logic/admission.hpp"

#include <algorithm>

namespace veranda::logic {

bool admission::busy(const std::string& host, const host_load& load) const noexcept {
  return limits_.per_host != 0 && !host.empty() && load.running >= limits_.per_host;
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
  auto id = first_startable(lanes_[0]);
  if (!id) id = first_startable(lanes_[1]);
  if (!id) return std::nullopt;
  const auto chosen = jobs_.at(*id);
  take_out(chosen);
  shift(chosen.job.host, 0, 1);
  running_.emplace(chosen.job.id, chosen.job.host);
  auto& l = lane_of(chosen.job);
  if (const auto t = l.tenants.find(chosen.job.ns); t != l.tenants.end()) { // its namespace goes to the end of the line
    l.turns.erase(t->second.turn);
    t->second.turn = l.next_turn++;
    l.turns.emplace(t->second.turn, chosen.job.ns);
  }
  return chosen.job;
}

void admission::done(std::uint64_t id) {
  const auto it = running_.find(id);
  if (it == running_.end()) return;
  const auto host = it->second;
  running_.erase(it);
  shift(host, 0, -1);
}

bool admission::cancel(std::uint64_t id) {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return false;
  const auto gone = it->second;
  take_out(gone);
  return true;
}

std::optional<std::size_t> admission::position(std::uint64_t id) const {
  const auto it = jobs_.find(id);
  if (it == jobs_.end()) return std::nullopt;
  const auto& w = it->second;
  const auto& l = lane_of(w.job);
  const auto& own = l.tenants.at(w.job.ns);
  std::size_t before_in_own = 0;
  for (const auto& [host, queue] : own.by_host) {
    before_in_own += static_cast<std::size_t>(std::distance(queue.begin(), queue.lower_bound(w.arrival)));
  }
  std::size_t ahead = (w.job.user ? 0 : lanes_[0].size) + before_in_own;
  for (const auto& [ns, t] : l.tenants) {
    if (ns != w.job.ns) ahead += std::min(t.size, before_in_own + (t.turn < own.turn ? 1 : 0));
  }
  return ahead + 1;
}

} // namespace veranda::logic
