#include "adapters/git/pkt_line.hpp"

namespace veranda::git {

namespace {

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

int packet_length(std::string_view digits) noexcept {
  if (digits.size() < 4) return -1;
  int length = 0;
  for (const char c : digits.substr(0, 4)) {
    const int d = hex_digit(c);
    if (d < 0) return -1;
    length = length * 16 + d;
  }
  return length == 3 || length > static_cast<int>(max_packet_bytes) ? -1 : length;
}

void append_packet(std::string& out, std::string_view payload) {
  constexpr char digits[] = "0123456789abcdef";
  const auto length = payload.size() + 4;
  for (int shift = 12; shift >= 0; shift -= 4) out += digits[(length >> shift) & 15U];
  out += payload;
}

std::string_view without_newline(std::string_view payload) noexcept {
  if (payload.ends_with('\n')) payload.remove_suffix(1);
  return payload;
}

failure malformed(std::string what) {
  return {ec::unsupported, "the answer is not git's protocol: " + std::move(what), {}, {}, {}};
}

result<bool> packet_walker::walk(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto passing = std::min(rest_ > 0 ? rest_ : 4 - digits_.size(), bytes.size());
    if (rest_ > 0) {
      rest_ -= passing;
    } else {
      digits_.append(bytes.substr(0, passing));
    }
    bytes.remove_prefix(passing);
    if (digits_.size() < 4) continue;
    const int length = packet_length(digits_);
    if (length < 0) return malformed("a packet has an impossible length");
    digits_.clear();
    flushed_ = flushed_ || length == 0;
    rest_ = static_cast<std::size_t>(std::max(length, 4)) - 4;
  }
  return flushed_;
}

} // namespace veranda::git
