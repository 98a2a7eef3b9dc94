#include "actors/logic/reflector.hpp"

#include "actors/logic/resource_version.hpp"

#include <algorithm>
#include <utility>

namespace veranda::logic {

namespace {

constexpr std::size_t max_graves = 1'024;

} // namespace

std::string_view to_string(watch_loss loss) noexcept {
  constexpr std::string_view names[] = {"ended", "cut", "expired", "error"};
  return names[static_cast<std::size_t>(loss)];
}

watch_loss loss_by(const failure& why) noexcept { return why.code == ec::stale ? watch_loss::expired : watch_loss::error; }

reflector::reflector(const reflector_policy& policy) : policy_(policy), next_(list_wanted{}), page_limit_(std::max(1U, policy.page_limit)) { begin_list(); }

void reflector::begin_list() {
  // `0`: whatever the server has at hand. Later never older than what was told. Nothing: the most recent, also after a restored backup.
  list_version_ = position_unusable_ || whole_lists_too_large_ ? "" : position_.empty() ? "0" : position_;
  const bool concrete = !list_version_.empty() && list_version_ != "0";
  collected_.clear();
  watch_begun_.reset();
  ++lists_;
  // Without a limit a server answers from its memory; with one, and a version, it must ask its database.
  next_ = list_wanted{list_version_, {}, unpaged_ || concrete ? 0 : page_limit_};
}

void reflector::begin_watch(double draw) {
  const auto lifetime = policy_.watch_lifetime + std::chrono::duration_cast<std::chrono::seconds>(policy_.watch_lifetime * std::clamp(draw, 0.0, 1.0));
  watch_begun_.reset();
  ++watches_;
  next_ = watch_wanted{position_, lifetime};
}

void reflector::wait(after_wait then, const failure& why, time now, double draw) {
  problem_ = why;
  after_wait_ = then;
  if (last_trouble_ && now - *last_trouble_ >= policy_.healthy_after) failures_ = 0;
  auto delay = next_delay(policy_.backoff, failures_++, draw);
  if (why.retry_after && *why.retry_after > delay) delay = stretched(std::min(*why.retry_after, policy_.longest_wait), draw);
  last_trouble_ = now + delay;
  collected_.clear();
  next_ = wait_wanted{delay};
}

void reflector::on_due(double draw) {
  if (!std::holds_alternative<wait_wanted>(next_)) return;
  if (after_wait_ == after_wait::watch) begin_watch(draw);
  else begin_list();
}

void reflector::relist() {
  unpaged_ = false;
  begin_list();
}

void reflector::restart() {
  known_.clear();
  events_.clear();
  problem_.reset();
  synced_ = false;
  relist();
}

bool reflector::on_tick(time now) {
  if (policy_.relist_interval.count() == 0 || !watching() || !listed_ || now - *listed_ < policy_.relist_interval) return false;
  relist();
  return true;
}

void reflector::on_page(api_list_page page, time now, double draw) {
  if (!listing()) return;
  for (auto& item : page.items) collected_.push_back(std::move(item));
  page.items.clear();
  if (collected_.size() > policy_.max_objects)
    return wait(after_wait::list, {ec::too_large, "there are more than the " + std::to_string(policy_.max_objects) + " objects allowed", {}, {}, {}}, now, draw);
  if (page.continue_token.empty()) return take_over(std::move(page), now, draw);
  next_ = list_wanted{list_version_, std::move(page.continue_token), page_limit_};
}

/// Takes what was collected for the truth; answers what is new in it. Of an object on two pages the last counts.
std::vector<api_object> reflector::merge_pages(std::unordered_map<object_key, identity>& before) {
  std::vector<api_object> fresh;
  std::reverse(collected_.begin(), collected_.end());
  for (auto& item : collected_) {
    if (item.key.name.empty()) {
      ++nameless_;
      continue;
    }
    if (!known_.try_emplace(item.key, identity{item.uid, item.resource_version}).second) continue;
    const auto old = before.find(item.key);
    // Where the history was another, an equal version says nothing.
    const bool same = !position_unusable_ && old != before.end() && old->second.uid == item.uid && old->second.resource_version == item.resource_version && !item.resource_version.empty();
    if (!same) fresh.push_back(std::move(item));
  }
  collected_.clear();
  std::reverse(fresh.begin(), fresh.end());
  return fresh;
}

void reflector::take_over(api_list_page page, time now, double draw) {
  position_ = std::move(page.resource_version);
  unpaged_ = false;
  listed_ = now;
  // A restored server may bring back what was deleted, and older versions.
  graves_.clear();
  burials_.clear();
  std::unordered_map<object_key, identity> before;
  before.swap(known_);
  auto fresh = merge_pages(before);
  position_unusable_ = false;
  // Deletions first: a name that has another uid now must be gone before it comes again.
  std::vector<std::pair<object_key, identity>> gone;
  for (auto& [key, was] : before)
    if (const auto found = known_.find(key); found == known_.end() || found->second.uid != was.uid) gone.emplace_back(key, was);
  std::sort(gone.begin(), gone.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [key, was] : gone) {
    tell(reflector_event::kind::deleted, {key, was.uid, was.resource_version, 0, {}, {}});
    bury(was.uid, was.resource_version);
    before.erase(key);
  }
  for (auto& item : fresh) {
    const bool known = before.contains(item.key);
    tell(known ? reflector_event::kind::modified : reflector_event::kind::added, std::move(item));
  }
  synced_ = true;
  tell(reflector_event::kind::applied, {{}, {}, position_, 0, {}, {}});
  begin_watch(draw);
}

/// What to ask for instead of an answer that was too large; false when there is nothing smaller.
bool reflector::shrink(const list_wanted& asked) {
  unpaged_ = false;
  if (asked.limit == 0 || list_version_ == "0") { // from memory a server answers everything at once
    if (std::exchange(whole_lists_too_large_, true)) return false;
  } else if (page_limit_ > 1) {
    page_limit_ /= 2;
  } else {
    return false;
  }
  return true;
}

void reflector::on_list_failed(const failure& why, time now, double draw) {
  if (!listing()) return;
  const auto asked = std::get<list_wanted>(next_);
  if (why.code == ec::stale && !asked.continue_token.empty() && !whole_lists_too_large_) {
    unpaged_ = true; // the pages grew too old: once more from the beginning, in one piece
    return begin_list();
  }
  if (why.code == ec::stale && asked.continue_token.empty() && !list_version_.empty()) {
    position_unusable_ = true;
    return begin_list();
  }
  if (why.code == ec::too_large && shrink(asked)) return begin_list();
  wait(after_wait::list, why, now, draw);
}

void reflector::on_watch_begun(time now) {
  if (!watching() || watch_begun_) return;
  watch_begun_ = now;
  problem_.reset();
}

bool reflector::too_short(time now) const { return !watch_begun_ || now - *watch_begun_ < policy_.short_watch; }

void reflector::on_event(api_event event, time now, double draw) {
  if (!watching()) return;
  if (event.type == api_event_type::error) return on_watch_failed(event.why.value_or(failure{ec::unavailable, "the watch ended with an error", {}, {}, {}}), now, draw);
  on_watch_begun(now);
  const auto version = event.object.resource_version;
  if (event.type == api_event_type::bookmark) {
    bookmarks_seen_ = true;
    if (!version.empty() && version != position_) tell(reflector_event::kind::bookmark, {{}, {}, version, 0, {}, {}});
  } else if (event.object.key.name.empty()) {
    ++nameless_;
  } else if (event.type == api_event_type::deleted) {
    remove(event.object);
  } else {
    apply(std::move(event.object));
  }
  // A server whose list had no position has none: the next list must show what was missed.
  if (!version.empty() && !position_.empty()) position_ = version;
}

void reflector::apply(api_object object) {
  if (const auto grave = graves_.find(object.uid); grave != graves_.end()) {
    if (!known_older(grave->second, object.resource_version)) return;
    graves_.erase(grave); // it had only left what is selected
  }
  const auto found = known_.find(object.key);
  if (found == known_.end()) {
    known_.emplace(object.key, identity{object.uid, object.resource_version});
    return tell(reflector_event::kind::added, std::move(object));
  }
  auto& was = found->second;
  if (was.uid != object.uid) {
    tell(reflector_event::kind::deleted, {object.key, was.uid, was.resource_version, 0, {}, {}});
    bury(was.uid, was.resource_version);
    was = {object.uid, object.resource_version};
    return tell(reflector_event::kind::added, std::move(object));
  }
  const bool same = was.resource_version == object.resource_version && !object.resource_version.empty();
  if (same || known_older(object.resource_version, was.resource_version)) return;
  was.resource_version = object.resource_version;
  tell(reflector_event::kind::modified, std::move(object));
}

void reflector::remove(const api_object& object) {
  const auto found = known_.find(object.key);
  if (found == known_.end() || (!object.uid.empty() && found->second.uid != object.uid)) return bury(object.uid, object.resource_version);
  if (known_older(object.resource_version, found->second.resource_version)) return; // told late
  bury(found->second.uid, object.resource_version);
  known_.erase(found);
  tell(reflector_event::kind::deleted, object);
}

void reflector::bury(const std::string& uid, const std::string& version) {
  if (uid.empty() || !graves_.insert_or_assign(uid, version).second) return;
  burials_.push_back(uid);
  if (burials_.size() <= max_graves) return;
  graves_.erase(burials_.front());
  burials_.pop_front();
}

void reflector::on_watch_failed(const failure& why, time now, double draw) {
  if (!watching()) return;
  count(loss_by(why));
  // A list at the position also tells whether the server still knows it: one that was restored from a backup does not.
  wait(why.code == ec::throttled ? after_wait::watch : after_wait::list, why, now, draw);
}

void reflector::on_watch_ended(watch_end end, time now, double draw) {
  if (!watching()) return;
  count(end == watch_end::closed ? watch_loss::ended : watch_loss::cut);
  if (position_.empty()) return wait(after_wait::list, {ec::unavailable, "the watch ended, and the server gave no position to go on from", {}, {}, {}}, now, draw);
  // Where bookmarks come, silence means that the connection is dead, or that the server does not know the position.
  if (end == watch_end::idle && bookmarks_seen_) return wait(after_wait::list, {ec::timed_out, "the watch fell silent", {}, {}, {}}, now, draw);
  if (too_short(now)) return wait(after_wait::watch, {ec::unavailable, "the watch ended at once", {}, {}, {}}, now, draw);
  begin_watch(draw);
}

std::vector<reflector_event> reflector::take_events() { return std::exchange(events_, {}); }

} // namespace veranda::logic
