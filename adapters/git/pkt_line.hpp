#pragma once

#include "messages/model/failure.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace veranda::git {

/// What a pkt-line is: data, or one of the marks of protocol v2.
enum class packet_kind : std::uint8_t { data, flush, delimiter, response_end };

/// Largest packet, its four length digits included.
inline constexpr std::size_t max_packet_bytes = 65'520;

/// Length in the four hexadecimal digits at the start of a packet; -1 when they are none, or name an impossible length.
[[nodiscard]] int packet_length(std::string_view digits) noexcept;

/// Appends `payload` as one packet. The payload must fit (65,516 bytes).
void append_packet(std::string& out, std::string_view payload);
inline void append_flush(std::string& out) { out += "0000"; }
inline void append_delimiter(std::string& out) { out += "0001"; }

/// Drops the line feed that most text packets end with.
[[nodiscard]] std::string_view without_newline(std::string_view payload) noexcept;

/// The other side broke the protocol: what a reader of such bytes answers with.
[[nodiscard]] failure malformed(std::string what);

/// Cuts a byte stream into packets, however it is chopped up. Keeps at most one packet.
class packet_reader {
public:
  /// Calls `on_packet(packet_kind, std::string_view payload) -> result<void>` for each packet completed by `bytes`; stops at the first failure.
  template <class F>
  result<void> feed(std::string_view bytes, F&& on_packet) {
    if (!partial_.empty()) {
      if (!take(bytes, 4)) return {};
      const int length = packet_length(partial_);
      if (length < 0) return malformed("a packet has an impossible length");
      if (length > 4 && !take(bytes, static_cast<std::size_t>(length))) return {};
      const std::string whole = std::move(partial_);
      partial_.clear();
      if (auto done = emit(length, whole, on_packet); !done) return done;
    }
    while (bytes.size() >= 4) {
      const int length = packet_length(bytes.substr(0, 4));
      if (length < 0) return malformed("a packet has an impossible length");
      const auto size = static_cast<std::size_t>(length < 4 ? 4 : length);
      if (size > bytes.size()) break;
      if (auto done = emit(length, bytes.substr(0, size), on_packet); !done) return done;
      bytes.remove_prefix(size);
    }
    partial_.append(bytes);
    return {};
  }
  /// True when no packet is cut short.
  [[nodiscard]] bool at_boundary() const noexcept { return partial_.empty(); }

private:
  bool take(std::string_view& bytes, std::size_t wanted) {
    if (partial_.size() < wanted) {
      const auto n = std::min(wanted - partial_.size(), bytes.size());
      partial_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
    }
    return partial_.size() >= wanted;
  }
  template <class F>
  static result<void> emit(int length, std::string_view whole, F& on_packet) {
    if (length >= 4) return on_packet(packet_kind::data, whole.substr(4));
    constexpr packet_kind marks[] = {packet_kind::flush, packet_kind::delimiter, packet_kind::response_end};
    return on_packet(marks[length], std::string_view{});
  }
  std::string partial_;
};

/// Follows a byte stream from packet to packet, without looking into them or keeping any.
class packet_walker {
public:
  /// Whether a flush has passed, with `bytes` or before. Fails at an impossible length.
  result<bool> walk(std::string_view bytes);

private:
  std::string digits_;   ///< of a packet whose length is not known yet
  std::size_t rest_ = 0; ///< of the packet that is passing
  bool flushed_ = false;
};

} // namespace veranda::git
