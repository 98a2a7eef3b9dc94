#include "actors/kube/package_rev_feed.hpp"

namespace veranda {

namespace {

constexpr std::chrono::seconds repositories_interval{5}; ///< between looks at the repositories while objects wait for one

} // namespace

void package_rev_feed::want(logic::package_rev_machine& machine, const store::owned_revision& revision, time now) const {
  const auto& cached = revision.cached;
  machine.want({cached.repository.ns, cached.revision.name}, cached.repository.name, kube::digest_of(kube::part_of(revision, owner_)), now);
}

result<void> package_rev_feed::tell_repositories(logic::package_rev_machine& machine, time now) {
  auto all = reader_->repositories();
  if (!all)
    return all.error();
  std::vector<logic::package_rev_machine::known_repository> known;
  known.reserve(all->size());
  for (auto& r : *all)
    known.push_back({std::move(r.key), r.synced});
  machine.set_repositories(known, now);
  repositories_told_ = now;
  return {};
}

result<void> package_rev_feed::load(logic::package_rev_machine& machine, time now) {
  if (auto told = tell_repositories(machine, now); !told)
    return told;
  machine.begin_revisions();
  auto position = reader_->list([&](const store::owned_revision& revision) { want(machine, revision, now); });
  if (!position)
    return position.error();
  machine.end_revisions(now);
  position_ = *position;
  loaded_ = true;
  departed_told_ = false;
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

/// Objects without a revision: those whose revision left the cache before this process began, and those whose repository is being synced for the first time.
result<void> package_rev_feed::look_after_strays(logic::package_rev_machine& machine, time now) {
  if (!machine.ready() || machine.count().strays == 0)
    return {};
  if (!repositories_told_ || now - *repositories_told_ >= repositories_interval)
    if (auto told = tell_repositories(machine, now); !told)
      return told;
  if (departed_told_)
    return {};
  auto told = reader_->departed([&](const object_key& key, const std::string& repository) { machine.departed(key, repository, now); });
  departed_told_ = told.ok();
  return told;
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
  if (auto looked = look_after_strays(machine, now); !looked)
    return looked.error();
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

} // namespace veranda
