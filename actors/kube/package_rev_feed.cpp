#include "actors/kube/package_rev_feed.hpp"

namespace veranda {

namespace {

constexpr std::chrono::milliseconds telling_interval{250}; ///< each time that a repository comes into step, everything is counted anew

} // namespace

void package_rev_feed::want(logic::package_rev_machine& machine, const store::owned_revision& revision, time now) const {
  const auto& cached = revision.cached;
  const auto part = kube::part_of(revision, owner_);
  machine.want({cached.repository.ns, cached.revision.name}, part.label, kube::digest_of(part), now);
}

/// Until everything is read, nothing follows from what is not there.
result<void> package_rev_feed::load(logic::package_rev_machine& machine, time now) {
  std::vector<object_key> all;
  for (const auto& [group, sync] : synced_)
    all.push_back(group);
  machine.leave_step(all, now);
  untold_.insert(all.begin(), all.end());
  told_.reset();
  machine.begin_revisions();
  auto position = reader_->list([&](const store::owned_revision& revision) { want(machine, revision, now); });
  if (!position)
    return position.error();
  machine.end_revisions(now);
  position_ = *position;
  loaded_ = true;
  ++loads_;
  return {};
}

result<bool> package_rev_feed::follow(logic::package_rev_machine& machine, time now, std::size_t limit) {
  std::vector<store::revision_change> changes;
  auto reached = reader_->changes_after(position_, limit, changes);
  if (!reached) {
    if (reached.error().code != ec::stale)
      return reached.error();
    loaded_ = false;
    return true;
  }
  for (const auto& change : changes)
    if (change.now)
      want(machine, *change.now, now);
    else
      machine.unwant(change.name, now);
  return std::exchange(position_, *reached) != *reached;
}

void package_rev_feed::synced(const object_key& repository, const std::string& uid) {
  const auto group = kube::package_rev_group(repository);
  synced_.insert_or_assign(group, known_sync{repository.name, uid});
  untold_.insert(group);
}

result<bool> package_rev_feed::still_has(const object_key& group, const known_sync& of) {
  auto found = reader_->repository({group.ns, of.name});
  if (!found)
    return found.error();
  return *found && (*found)->uid == of.uid && (*found)->synced;
}

/// Those whose sync was said before the feed was read to its end: all of what it wrote has been told.
result<void> package_rev_feed::tell_synced(logic::package_rev_machine& machine, time now) {
  std::erase_if(untold_, [&](const object_key& group) { return machine.in_step(group); });
  if (untold_.empty() || (told_ && now - *told_ < telling_interval))
    return {};
  std::vector<object_key> in_step, lost;
  for (const auto& group : untold_) {
    auto has = still_has(group, synced_.at(group));
    if (!has)
      return has.error();
    (*has ? in_step : lost).push_back(group);
  }
  for (const auto& group : lost)
    synced_.erase(group);
  untold_.clear();
  told_ = now;
  machine.enter_step(in_step, now);
  return {};
}

result<bool> package_rev_feed::step(logic::package_rev_machine& machine, time now, std::size_t limit) {
  if (!reader_ || reader_->outdated()) {
    loaded_ = false;
    reader_.reset();
    auto opened = open_();
    if (!opened)
      return opened.error();
    reader_ = std::move(*opened);
  }
  if (!loaded_)
    if (auto read = load(machine, now); !read)
      return read.error();
  auto more = follow(machine, now, limit);
  if (!more || *more)
    return more;
  if (auto told = tell_synced(machine, now); !told)
    return told.error();
  return false;
}

result<std::optional<kube::package_rev_part>> package_rev_feed::part(const object_key& key) {
  if (!reader_)
    return failure{ec::unavailable, "the package cache is not open", {}, {}, {}};
  auto found = reader_->get(key);
  if (!found)
    return found.error();
  return *found ? std::optional{kube::part_of(**found, owner_)} : std::nullopt;
}

result<bool> package_rev_feed::holds(const object_key& group, logic::package_rev_machine& machine, time now) {
  const auto of = synced_.find(group);
  if (of != synced_.end() && reader_) {
    auto has = still_has(group, of->second);
    if (!has || *has)
      return has;
    synced_.erase(of);
  }
  untold_.erase(group);
  machine.leave_step({group}, now);
  return false;
}

void package_rev_feed::forget(const object_key& repository, logic::package_rev_machine& machine, time now) {
  const auto group = kube::package_rev_group(repository);
  synced_.erase(group);
  untold_.erase(group);
  machine.leave_step({group}, now);
}

} // namespace veranda
