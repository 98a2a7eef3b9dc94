#include "actors/cache_writer/cache_writer.hpp"

#include "actors/common/allocator.hpp"
#include "actors/common/guard.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace veranda {

namespace {

constexpr const char* kind = cache_writer_state::name;
using self_ptr = cache_writer_actor::stateful_pointer<cache_writer_state>;

/// The opened cache, opening it when it is not.
result<store::package_cache*> opened(cache_writer_state& st) {
  if (!st.cache) {
    if (st.damaged)
      if (auto moved = st.deps.set_aside(); !moved)
        return moved.error();
    st.damaged = false;
    auto cache = st.deps.open();
    if (!cache)
      return cache.error();
    st.cache = std::move(*cache);
  }
  return st.cache.get();
}

/// Runs one operation on the cache, `writes` when its success tells that the file can be written; after damage the file is closed, so that the next operation starts on a new one.
template <class Operation>
auto on_cache(self_ptr self, const char* what, Operation operation, bool writes = true) -> decltype(operation(*self->state.cache)) {
  auto& st = self->state;
  const handling h{*st.cell, what, self->mailbox().size()};
  const auto began = std::chrono::steady_clock::now();
  auto cache = opened(st);
  if (!cache) {
    st.deps.health->note(&cache.error());
    return cache.error();
  }
  auto outcome = operation(**cache);
  if (writes || !outcome)
    st.deps.health->note(outcome ? nullptr : &outcome.error());
  st.deps.env.telemetry->cache_transaction(outcome.ok(), std::chrono::steady_clock::now() - began);
  if (!outcome && outcome.error().code == ec::corrupt_cache) {
    st.damaged = true;
    log::error(kind, "the package cache is damaged; it is moved aside and rebuilt from the remotes", {{"err", describe(outcome.error())}});
    st.cell->set_last_error(describe(outcome.error()));
    st.cache.reset();
    auto lost = outcome.error();
    lost.code = ec::stale; // claims of the old file mean nothing in the new one
    return lost;
  }
  if (!outcome)
    st.cell->set_last_error(describe(outcome.error()));
  return outcome;
}

/// Tells readers that what they see has changed.
template <class Outcome>
Outcome announced(self_ptr self, Outcome outcome) {
  if (outcome && self->state.deps.committed)
    self->state.deps.committed();
  return outcome;
}

template <class T>
caf::result<T> answer(result<T> outcome) {
  if (!outcome)
    return to_error(outcome.error());
  return std::move(*outcome);
}

caf::result<bool> answer(result<void> outcome) {
  if (!outcome)
    return to_error(outcome.error());
  return true;
}

result<store::repository_claim> claim_and_open(store::package_cache& cache, const msg::claim_repository& m) {
  auto claim = cache.claim(m.key, m.uid, m.epoch);
  if (claim && m.spec)
    if (auto open = cache.open(*claim, *m.spec); !open)
      return open.error();
  return claim;
}

result<std::vector<durable_state>> read_states(const cache_writer_state& st, const std::string& uid) {
  auto reader = st.deps.open_reader();
  if (!reader)
    return reader.error();
  if (uid.empty())
    return (*reader)->states();
  auto one = (*reader)->state(uid);
  if (!one)
    return one.error();
  return *one ? std::vector{std::move(**one)} : std::vector<durable_state>{};
}

/// Contents that nothing references go in bounded slices; a full slice is followed by another soon.
void sweep(self_ptr self) {
  auto& st = self->state;
  auto swept = on_cache(self, "sweep", [&](store::package_cache& cache) { return cache.sweep(st.deps.sweep_age, st.deps.sweep_rows); }, false);
  const bool more = swept && *swept >= st.deps.sweep_rows;
  if (!more)
    give_memory_back(); // its cached pages among them
  self->delayed_send(self, more ? std::chrono::seconds{1} : st.deps.sweep_interval, msg::sweep_due{});
}

/// Damage that a reader met. Whoever holds a claim on the file learns of its end with his next write.
void check(self_ptr self) {
  auto& st = self->state;
  const auto now = self->clock().now();
  if (st.checked && now - *st.checked < st.deps.check_interval)
    return;
  st.checked = now;
  if (on_cache(self, "check", [](store::package_cache& cache) { return cache.check(); }, false))
    log::info(kind, "the package cache was looked through after a reader met damage; it is sound", {});
}

} // namespace

cache_writer_actor::behavior_type cache_writer(self_ptr self, cache_writer_deps deps) {
  install_default_handlers(self, kind);
  auto& st = self->state;
  st.deps = std::move(deps);
  st.cell = st.deps.env.cells->add(kind, "");
  self->delayed_send(self, st.deps.sweep_interval, msg::sweep_due{});
  return {
    [self](const msg::claim_repository& m) {
      return answer(announced(self, on_cache(self, "claim", [&](store::package_cache& cache) { return claim_and_open(cache, m); })));
    },
    [self](const msg::open_repository& m) {
      return answer(announced(self, on_cache(self, "open", [&](store::package_cache& cache) { return cache.open(m.claim, *m.spec); })));
    },
    [self](const msg::apply_delta& m) {
      return answer(announced(self, on_cache(self, "apply_delta",
                                             [&](store::package_cache& cache) { return cache.apply_delta(m.claim, *m.delta, m.state); })));
    },
    [self](const msg::put_state& m) {
      return answer(on_cache(self, "put_state", [&](store::package_cache& cache) { return cache.put_state(m.claim, m.state); }));
    },
    [self](const msg::close_rows& m) {
      return answer(announced(self, on_cache(self, "close", [&](store::package_cache& cache) { return cache.close(m.claim); })));
    },
    [self](const msg::check_cache&) { check(self); },
    [self](const msg::get_states& m) -> caf::result<msg::states_ptr> {
      const handling h{*self->state.cell, "get_states", self->mailbox().size()};
      auto states = read_states(self->state, m.uid);
      if (!states)
        return to_error(states.error());
      return std::make_shared<const std::vector<durable_state>>(std::move(*states));
    },
    [self](const msg::store_contents& m) {
      m.gate->release(on_cache(self, "store_contents", [&](store::package_cache& cache) { return cache.put_contents(*m.batch); }));
      self->state.deps.env.telemetry->contents_stored(m.batch->contents.size() + m.batch->trees.size(), m.batch->size_bytes());
    },
    [self](const msg::sweep_due&) { sweep(self); },
  };
}

} // namespace veranda
