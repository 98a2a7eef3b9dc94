#include "adapters/git/address_rules.hpp"

#include <algorithm>
#include <array>

namespace veranda::git {

namespace {

struct guarded_range {
  ip_range range;
  const char* meaning;
};

/// Metadata addresses are listed one by one, so that allowing a wider range around them does not open them.
const std::vector<guarded_range>& guarded_ranges() {
  static const auto table = [] {
    constexpr std::array<std::pair<const char*, const char*>, 19> rows{{
      {"127.0.0.0/8", "loopback"},
      {"::1/128", "loopback"},
      {"0.0.0.0/8", "unspecified"},
      {"::/128", "unspecified"},
      {"169.254.0.0/16", "link-local"},
      {"fe80::/10", "link-local"},
      {"224.0.0.0/4", "multicast"},
      {"ff00::/8", "multicast"},
      {"255.255.255.255/32", "broadcast"},
      {"169.254.169.254/32", "cloud metadata"}, // most clouds
      {"169.254.170.2/32", "cloud metadata"},   // task credentials of AWS
      {"169.254.170.23/32", "cloud metadata"},  // pod credentials of AWS
      {"169.254.0.23/32", "cloud metadata"},    // Tencent
      {"fe80::a9fe:a9fe/128", "cloud metadata"}, // OpenStack
      {"fd00:ec2::/32", "cloud metadata"},      // AWS over IPv6
      {"fd20:ce::254/128", "cloud metadata"},   // Google Cloud over IPv6
      {"100.100.100.200/32", "cloud metadata"}, // Alibaba
      {"168.63.129.16/32", "cloud metadata"},   // Azure's own agent
      {"192.0.0.192/32", "cloud metadata"},     // Oracle, older images
    }};
    std::vector<guarded_range> out;
    for (const auto& [range, meaning] : rows)
      out.push_back({parse_ip_range(range).value(), meaning});
    return out;
  }();
  return table;
}

/// The IPv4 address that an IPv6 one stands for on the way.
std::optional<ip_address> carried_v4(const ip_address& address) {
  struct carrier {
    ip_range range;
    std::size_t at; ///< where the four bytes are
  };
  static const std::array carriers{
    carrier{parse_ip_range("64:ff9b::/96").value(), 12}, // NAT64
    carrier{parse_ip_range("2002::/16").value(), 2},     // 6to4
    carrier{parse_ip_range("::/96").value(), 12},        // IPv4-compatible
  };
  for (const auto& c : carriers)
    if (c.range.contains(address)) {
      std::array<std::uint8_t, 4> bytes{};
      std::copy_n(address.bytes.begin() + static_cast<std::ptrdiff_t>(c.at), 4, bytes.begin());
      return make_ipv4(bytes);
    }
  return std::nullopt;
}

/// What the longest range says that was seen so far.
struct verdict {
  const char* guarded = nullptr;
  const ip_range* denied = nullptr;
  int length = -1;
};

} // namespace

std::optional<std::string> address_rules::refusal(const ip_address& address) const {
  const std::array<std::optional<ip_address>, 2> judged{address, carried_v4(address)};
  verdict found;
  const auto consider = [&](const ip_range& range, verdict says) { // what comes later wins over an equal one
    const bool holds = std::any_of(judged.begin(), judged.end(), [&](const auto& a) { return a && range.contains(*a); });
    if (!holds || range.length < found.length) return;
    found = says;
    found.length = range.length;
  };
  if (guarded)
    for (const auto& g : guarded_ranges()) consider(g.range, {g.meaning, nullptr, -1});
  for (const auto& range : allowed) consider(range, {});
  for (const auto& range : denied) consider(range, {nullptr, &range, -1});
  if (found.denied == nullptr && found.guarded == nullptr) return std::nullopt;
  const auto allow = "; --allow-cidr " + to_string(only(address)) + " would allow it";
  if (found.guarded != nullptr) return std::string{"is refused ("} + found.guarded + ")" + allow;
  return "is refused by --deny-cidr " + to_string(*found.denied) + (found.length == 128 ? std::string{} : allow);
}

} // namespace veranda::git
