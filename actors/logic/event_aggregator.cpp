#include "actors/logic/event_aggregator.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace veranda::logic {

namespace {

constexpr std::string_view combined = "(combined from similar events): ";

std::size_t digest_of(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (const auto part : parts) joined.append(part).append(1, '\0');
  return std::hash<std::string>{}(joined);
}

/// `<object>.<nanoseconds in hex>`, as kubectl knows them.
std::string event_name(const std::string& object, wall_time now) {
  std::array<char, 17> digits{};
  const auto nanoseconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count());
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), nanoseconds, 16).ptr;
  return object + "." + std::string{digits.data(), end};
}

} // namespace

bool event_aggregator::combines(digest group, const std::string& message, wall_time now) {
  auto& s = similar_.of(group);
  if (s.last && now - *s.last > policy_.similar_within) s.messages.clear();
  s.last = now;
  s.messages.insert(digest_of({message}));
  if (s.messages.size() < policy_.max_similar) return false;
  s.messages.erase(s.messages.begin());
  return true;
}

bool event_aggregator::allowed(digest object, wall_time now) {
  auto& a = allowances_.of(object);
  if (!a.since)
    a.tokens = policy_.burst;
  else if (now > *a.since)
    a.tokens = std::min(policy_.burst, a.tokens + std::chrono::duration<double>(now - *a.since) / std::chrono::duration<double>(policy_.refill));
  a.since = a.since ? std::max(*a.since, now) : now;
  if (a.tokens < 1.0) return false;
  a.tokens -= 1.0;
  return true;
}

std::optional<event_record> event_aggregator::take(const happening& h, wall_time now) {
  const auto object = digest_of({h.key.ns, h.key.name, h.uid});
  const std::string_view type = h.warning ? "w" : "n";
  event_record out{{}, h, now, now, 1};
  const auto group = digest_of({h.key.ns, h.key.name, h.uid, type, h.reason});
  const bool many = combines(group, h.message, now);
  if (many) out.what.message.insert(0, combined);
  auto& before = said_.of(many ? group : digest_of({h.key.ns, h.key.name, h.uid, type, h.reason, h.message}));
  if (before.count++ == 0) before.first = now;
  out.name = event_name(h.key.name, before.first);
  out.first = before.first;
  out.count = before.count;
  if (!allowed(object, now)) return std::nullopt;
  return out;
}

} // namespace veranda::logic
