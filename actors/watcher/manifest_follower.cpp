#include "actors/watcher/manifest_follower.hpp"

#include "actors/common/ask.hpp"
#include "actors/common/guard.hpp"
#include "actors/logic/repository_machine.hpp"
#include "adapters/source/manifest_file.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>

namespace veranda {

namespace {

constexpr const char* kind = manifest_follower_state::name;
using self_ptr = manifest_follower_actor::stateful_pointer<manifest_follower_state>;

void next_write(self_ptr self);

result<std::vector<store::stored_object>> live_objects(store::object_store_reader& reader) {
  std::vector<store::stored_object> all;
  for (const auto resource : {source::repositories_resource, source::secrets_resource}) {
    auto listed = reader.list(std::string{resource}, {});
    if (!listed)
      return listed.error();
    all.insert(all.end(), std::make_move_iterator(listed->items.begin()), std::make_move_iterator(listed->items.end()));
  }
  return all;
}

/// Says what is new among the problems, and what is mended.
void report(manifest_follower_state& st, const std::vector<source::manifest_problem>& problems) {
  std::set<source::manifest_problem> now{problems.begin(), problems.end()};
  for (const auto& p : now)
    if (!st.problems.contains(p))
      log::warn(kind, source::describe(p), {{"file", p.file}});
  for (const auto& p : st.problems)
    if (!now.contains(p))
      log::info(kind, "mended: " + source::describe(p), {{"file", p.file}});
  st.problems = std::move(now);
  if (st.deps.problems)
    st.deps.problems(problems);
  st.deps.env.telemetry->manifest_problems(st.problems.size());
  st.cell->set_detail("problems", std::to_string(st.problems.size()));
  st.cell->set_last_error(st.problems.empty() ? "" : source::describe(*st.problems.begin()));
}

/// Tells the supervisor which Secrets are not what they were. Their digests are keyed; the bytes stay in their files.
void notice_secrets(self_ptr self, const source::manifest_state& scanned) {
  auto& st = self->state;
  st.deps.secrets->update(scanned);
  std::map<object_key, std::string> versions;
  for (const auto& object : scanned.objects)
    if (object.resource == source::secrets_resource)
      versions.emplace(object.key, object.json);
  if (!st.first) {
    for (const auto& [key, version] : versions)
      if (const auto old = st.secret_versions.find(key); old == st.secret_versions.end() || old->second != version)
        self->send(st.deps.supervisor, msg::secret_changed{key});
    for (const auto& [key, version] : st.secret_versions)
      if (!versions.contains(key))
        self->send(st.deps.supervisor, msg::secret_changed{key});
  }
  st.secret_versions = std::move(versions);
}

/// Warns of each file with Secrets that others can read, and again when it was changed and they still can.
void warn_of_exposed(manifest_follower_state& st, const source::manifest_state& scanned) {
  for (const auto& [file, changed] : scanned.exposed_files)
    if (const auto known = st.exposed_files.find(file); known == st.exposed_files.end() || known->second != changed)
      log::warn(kind, "every user of this machine can read the Secrets in this file: chmod o-r", {{"file", file}});
  st.exposed_files = scanned.exposed_files;
  st.cell->set_detail("exposed_files", std::to_string(st.exposed_files.size()));
}

void again(self_ptr self, std::chrono::milliseconds delay) {
  if (delay.count() == 0)
    self->send(self, msg::continue_reading{});
  else
    self->delayed_send(self, delay, msg::continue_reading{});
}

void plan_failed(self_ptr self, const failure& why) {
  log::warn(kind, "the manifest directory could not be applied; trying again", {{"err", describe(why)}});
  self->state.look = true;
  again(self, self->state.deps.retry);
}

void plan_done(self_ptr self) {
  auto& st = self->state;
  report(st, st.plan_problems);
  if (std::exchange(st.first, false) && st.deps.first_applied) // what one object lacks must not keep the others waiting
    st.deps.first_applied();
  if (std::exchange(st.failed, false)) {
    st.look = true;
    again(self, std::min<std::chrono::milliseconds>(st.deps.retry_max, st.deps.retry * (1LL << std::min(st.failures++, 10U))));
    return;
  }
  st.permitted = false;
  st.failures = 0;
  again(self, std::chrono::milliseconds{0});
}

msg::write_object to_message(source::manifest_write&& w) {
  using enum msg::object_operation;
  const auto operation = w.kind == source::write_kind::create ? create : w.kind == source::write_kind::update ? update : remove;
  return {operation, std::move(w.resource), std::move(w.key), {}, std::move(w.json)};
}

/// What the store refuses is a problem of the object, until its file changes; anything else (a race with the CLI, the disk) is tried again with a new plan.
void write_failed(manifest_follower_state& st, const std::string& object, const failure& why) {
  if (class_of(why.code) == error_class::needs_change) {
    st.plan_problems.push_back({{}, 0, object, why.field, {}, why.what});
    return;
  }
  log::warn(kind, "an object from the manifest directory could not be written; trying again", {{"object", object}, {"err", describe(why)}});
  st.failed = true;
}

void next_write(self_ptr self) {
  auto& st = self->state;
  if (st.writes.empty()) {
    plan_done(self);
    return;
  }
  auto write = to_message(std::move(st.writes.front()));
  st.writes.pop_front();
  const auto object = write.resource + " " + to_string(write.key);
  ask(self, st.deps.objects, st.deps.write_timeout, std::move(write))
    .then([self](const msg::stored_object_ptr&) { next_write(self); },
          [self, object](caf::error& e) {
            write_failed(self->state, object, to_failure(e));
            next_write(self);
          });
}

/// Whether somebody has just permitted what is held.
bool permit_given(manifest_follower_state& st) {
  if (!st.deps.permit)
    return false;
  auto taken = st.deps.permit->take();
  const auto why = taken ? failure{} : taken.error();
  if (!taken && why != st.permit_failure)
    log::warn(kind, describe(why));
  st.permit_failure = why;
  return taken && *taken;
}

/// What came of a permit.
void say_permitted(const source::manifest_plan& plan, std::size_t removals) {
  if (plan.held > 0)
    log::warn(kind, "the permit to delete does not help here, and is spent", {{"held", std::to_string(plan.held)}});
  else
    log::info(kind, "deletions were permitted, once", {{"objects", std::to_string(removals)}});
}

void look(self_ptr self) {
  auto& st = self->state;
  const bool given = permit_given(st);
  st.permitted = st.permitted || given; // until the plan is carried out
  const bool changed = std::exchange(st.look, false) || given || st.deps.directory->wait(st.deps.slice);
  const handling h{*st.cell, "continue_reading", self->mailbox().size()}; // waiting is no work
  if (!changed) {
    again(self, std::chrono::milliseconds{0});
    return;
  }
  const auto scanned = st.deps.directory->scan();
  notice_secrets(self, scanned);
  warn_of_exposed(st, scanned);
  auto live = live_objects(*st.deps.objects_reader);
  if (!live) {
    plan_failed(self, live.error());
    return;
  }
  auto planning = st.deps.planning;
  planning.allow_deletion = planning.allow_deletion || st.permitted;
  auto plan = source::plan(scanned, *live, st.deps.merge, planning);
  if (given)
    say_permitted(plan, static_cast<std::size_t>(std::ranges::count(plan.writes, source::write_kind::remove, &source::manifest_write::kind)));
  st.plan_problems = std::move(plan.problems);
  st.cell->set_detail("objects", std::to_string(scanned.objects.size()));
  st.writes.assign(std::make_move_iterator(plan.writes.begin()), std::make_move_iterator(plan.writes.end()));
  next_write(self);
}

} // namespace

manifest_follower_actor::behavior_type manifest_follower(self_ptr self, manifest_follower_deps deps) {
  install_default_handlers(self, kind);
  self->state.deps = std::move(deps);
  self->state.cell = self->state.deps.env.cells->add(kind);
  self->send(self, msg::continue_reading{});
  return {
    [self](const msg::continue_reading&) { look(self); },
    [self](const msg::settings_changed& m) {
      const handling h{*self->state.cell, "settings_changed", self->mailbox().size()};
      self->state.deps.planning.hold_percent = m.machine->max_delete_percent;
    },
  };
}

} // namespace veranda
