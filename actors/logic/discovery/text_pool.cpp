#include "actors/logic/discovery/text_pool.hpp"

#include <array>
#include <cstring>

namespace veranda::logic {

namespace {

constexpr std::array<std::uint64_t, 4> factors{0x9e3779b97f4a7c15U, 0xc2b2ae3d27d4eb4fU, 0x165667b19e3779f9U, 0x27d4eb2f165667c5U};

std::uint64_t mix(std::uint64_t state, std::uint64_t word, std::uint64_t factor) noexcept {
  state = (state ^ word) * factor;
  return state ^ (state >> 29U);
}

std::uint64_t load(const char* p) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

std::uint32_t short_hash(std::string_view text) noexcept { return static_cast<std::uint32_t>(hash_bytes(text) >> 16U); }

} // namespace

std::uint64_t hash_bytes(std::string_view text) noexcept {
  std::array<std::uint64_t, 4> lanes{text.size(), factors[1], factors[2], factors[3]};
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 32; p += 32, left -= 32)
    for (std::size_t i = 0; i < 4; ++i)
      lanes[i] = mix(lanes[i], load(p + 8 * i), factors[i]);
  std::uint64_t out = mix(mix(lanes[0], lanes[1], factors[0]), mix(lanes[2], lanes[3], factors[1]), factors[2]);
  for (; left >= 8; p += 8, left -= 8)
    out = mix(out, load(p), factors[0]);
  std::uint64_t rest = 0;
  if (left != 0)
    std::memcpy(&rest, p, left);
  return mix(mix(out, rest, factors[3]), left, factors[1]);
}

text_pool::text_pool() : spans_(1) {
  spans_[0].hash = short_hash({});
  index_.insert(0, [this](std::uint32_t n) { return spans_[n].hash; });
}

text_id text_pool::find(std::string_view text) const noexcept {
  const std::uint32_t hash = short_hash(text);
  return index_.find(hash, [&](std::uint32_t n) { return spans_[n].hash == hash && (*this)[n] == text; });
}

text_id text_pool::intern(std::string_view text) {
  if (const text_id known = find(text); known != none)
    return known;
  if (text.size() > max_bytes - bytes_.size() || spans_.size() >= none - 1)
    return none;
  const auto id = static_cast<text_id>(spans_.size());
  spans_.push_back({static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(text.size()), short_hash(text)});
  bytes_.append(text);
  index_.insert(id, [this](std::uint32_t n) { return spans_[n].hash; });
  return id;
}

bool text_pool::adopt(std::string bytes, std::vector<span> spans) {
  if (spans.empty() || spans[0].size != 0)
    return false;
  for (const span& s : spans)
    if (s.offset > bytes.size() || s.size > bytes.size() - s.offset)
      return false;
  bytes_ = std::move(bytes);
  spans_ = std::move(spans);
  index_.rebuild(spans_.size(), [this](std::uint32_t n) { return spans_[n].hash; });
  return true;
}

} // namespace veranda::logic
