#include "actors/common/cells.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>

namespace veranda {

namespace {

constexpr std::size_t max_text_bytes = 512;

using lock = std::scoped_lock<std::mutex>;

/// At most `max_text_bytes`, cut between two characters of UTF-8.
std::string_view shortened(std::string_view text) {
  if (text.size() <= max_text_bytes)
    return text;
  std::size_t end = max_text_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return text.substr(0, end);
}

/// Names are literals, but the same literal may have two addresses.
bool same_name(const char* a, const char* b) noexcept { return a == b || std::strcmp(a, b) == 0; }

/// The value kept under a name; a handful of names, so a list is the fastest map.
template <class T>
T& value_of(std::vector<std::pair<const char*, T>>& list, const char* name) {
  for (auto& [n, value] : list)
    if (same_name(n, name))
      return value;
  return list.emplace_back(name, T{}).second;
}

template <class T>
void remove_name(std::vector<std::pair<const char*, T>>& list, const char* name) {
  std::erase_if(list, [name](const auto& entry) { return same_name(entry.first, name); });
}

void add_count(std::vector<std::pair<std::string, std::uint64_t>>& sorted, std::string_view name, std::uint64_t n) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), name, [](const auto& entry, std::string_view v) { return entry.first < v; });
  if (at != sorted.end() && at->first == name)
    at->second += n;
  else
    sorted.emplace(at, name, n);
}

std::uint32_t as_u32(std::size_t n) noexcept { return static_cast<std::uint32_t>(std::min<std::size_t>(n, std::numeric_limits<std::uint32_t>::max())); }

bool key_matches(std::string_view key, std::string_view name) {
  return name.empty() || key == name || (key.size() > name.size() && key.ends_with(name) && key[key.size() - name.size() - 1] == '/');
}

} // namespace

namespace detail {

/// Shared by the registry and its cells. A cell takes itself off before it dies, so a raw pointer on the shelf is good while the
/// mutex is held; the weak one serves readers that want to let go of the mutex.
struct cell_shelf {
  struct slot {
    cell* raw;
    std::weak_ptr<cell> weak;
  };
  std::chrono::milliseconds stuck_after{};
  mutable std::mutex mutex;
  std::vector<slot> slots;
  std::map<std::string, kind_totals, std::less<>> ended; ///< what cells that are gone have counted, and restarts

  kind_totals& ended_of(std::string_view kind) {
    if (const auto it = ended.find(kind); it != ended.end())
      return it->second;
    auto& totals = ended[std::string{kind}];
    totals.kind = kind;
    return totals;
  }

  void take_off(cell& c) {
    const lock l{mutex};
    if (c.slot_ >= slots.size() || slots[c.slot_].raw != &c)
      return; // never put on
    slots[c.slot_] = std::move(slots.back());
    slots[c.slot_].raw->slot_ = c.slot_;
    slots.pop_back();
    auto& totals = ended_of(c.kind_);
    c.add_to(totals, {});
    totals.mailbox_max = 0;
  }
};

} // namespace detail

cell::cell(std::shared_ptr<detail::cell_shelf> shelf, std::string_view kind, std::string key)
    : shelf_(std::move(shelf)), kind_(kind), key_(std::move(key)), stuck_after_(shelf_->stuck_after) {}

cell::~cell() { shelf_->take_off(*this); }

void cell::set_state(std::string_view state) {
  const lock l{mutex_};
  state_ = shortened(state);
}

void cell::arm_timer(const char* name, wall_time due) {
  const lock l{mutex_};
  value_of(timers_, name) = due;
}

void cell::disarm_timer(const char* name) {
  const lock l{mutex_};
  remove_name(timers_, name);
}

void cell::set_in_flight(std::uint32_t requests) {
  const lock l{mutex_};
  in_flight_ = requests;
}

void cell::set_restarts(std::uint32_t restarts) {
  const lock l{mutex_};
  restarts_ = restarts;
}

void cell::set_last_error(std::string_view text) {
  const lock l{mutex_};
  last_error_ = shortened(text);
}

void cell::set_detail(const char* name, std::string_view value) {
  const lock l{mutex_};
  value_of(details_, name) = shortened(value);
}

void cell::remove_detail(const char* name) {
  const lock l{mutex_};
  remove_name(details_, name);
}

void cell::set_stuck_after(std::chrono::milliseconds limit) {
  const lock l{mutex_};
  stuck_after_ = limit;
}

cell::running cell::begin(const char* message, std::size_t mailbox_depth) {
  const running now{message, std::chrono::steady_clock::now()};
  const lock l{mutex_};
  mailbox_depth_ = as_u32(mailbox_depth);
  mailbox_max_ = std::max(mailbox_max_, mailbox_depth_);
  return std::exchange(running_, now);
}

void cell::end(const running& outer) {
  const auto now = std::chrono::steady_clock::now();
  const lock l{mutex_};
  const std::chrono::nanoseconds spent = now - running_.since;
  handler_total_ += spent;
  handler_max_ = std::max(handler_max_, spent);
  ++value_of(messages_, running_.name);
  running_ = outer;
}

bool cell::stuck_at(steady_time now) const { return running_.name != nullptr && now - running_.since > stuck_after_; }

cell_view cell::view(steady_time now) const {
  cell_view v;
  v.kind = kind_;
  v.key = key_;
  const lock l{mutex_};
  v.state = state_;
  if (running_.name != nullptr) {
    v.handler = running_.name;
    v.handler_age = std::max(std::chrono::nanoseconds{0}, std::chrono::nanoseconds{now - running_.since});
  }
  v.stuck = stuck_at(now);
  v.mailbox_depth = mailbox_depth_;
  v.mailbox_max = mailbox_max_;
  v.messages.assign(messages_.begin(), messages_.end());
  std::sort(v.messages.begin(), v.messages.end());
  v.handler_total = handler_total_;
  v.handler_max = handler_max_;
  for (const auto& [name, due] : timers_)
    v.timers.push_back({name, due});
  std::sort(v.timers.begin(), v.timers.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  v.in_flight = in_flight_;
  v.restarts = restarts_;
  v.last_error = last_error_;
  v.details.assign(details_.begin(), details_.end());
  return v;
}

void cell::add_to(kind_totals& totals, steady_time now) const {
  const lock l{mutex_};
  totals.stuck += stuck_at(now) ? 1 : 0;
  totals.mailbox_max = std::max<std::size_t>(totals.mailbox_max, mailbox_max_);
  totals.handler_total += handler_total_;
  for (const auto& [name, count] : messages_)
    add_count(totals.messages, name, count);
}

cell_registry::cell_registry(std::chrono::milliseconds stuck_after) : shelf_(std::make_shared<detail::cell_shelf>()) {
  shelf_->stuck_after = stuck_after;
}

cell_ptr cell_registry::add(std::string_view kind, std::string key) {
  auto c = std::make_shared<cell>(shelf_, kind, std::move(key));
  const lock l{shelf_->mutex};
  c->slot_ = shelf_->slots.size();
  shelf_->slots.push_back({c.get(), c});
  return c;
}

void cell_registry::count_restart(std::string_view kind) {
  const lock l{shelf_->mutex};
  ++shelf_->ended_of(kind).restarts;
}

std::vector<cell_view> cell_registry::snapshot(std::string_view name, steady_time now) const {
  std::vector<cell_ptr> cells; // released after the mutex: the last owner of a cell takes it off the shelf
  {
    const lock l{shelf_->mutex};
    cells.reserve(name.empty() ? shelf_->slots.size() : 1);
    for (const auto& slot : shelf_->slots)
      if (key_matches(slot.raw->key_, name))
        if (auto c = slot.weak.lock())
          cells.push_back(std::move(c));
  }
  std::sort(cells.begin(), cells.end(), [](const auto& a, const auto& b) { return std::tie(a->kind_, a->key_) < std::tie(b->kind_, b->key_); });
  std::vector<cell_view> views;
  views.reserve(cells.size());
  for (const auto& c : cells)
    views.push_back(c->view(now));
  return views;
}

std::vector<kind_totals> cell_registry::totals(steady_time now) const {
  const lock l{shelf_->mutex};
  auto sums = shelf_->ended;
  for (const auto& slot : shelf_->slots) {
    auto& totals = sums[slot.raw->kind_];
    totals.kind = slot.raw->kind_;
    ++totals.actors;
    slot.raw->add_to(totals, now);
  }
  std::vector<kind_totals> out;
  out.reserve(sums.size());
  for (auto& entry : sums)
    out.push_back(std::move(entry.second));
  return out;
}

std::size_t cell_registry::size() const {
  const lock l{shelf_->mutex};
  return shelf_->slots.size();
}

} // namespace veranda
