#pragma once

#include "adapters/git/git_remote.hpp"
#include "adapters/git/pkt_line.hpp"
#include "adapters/git/ref_listing.hpp"

#include <optional>

namespace veranda::git {

/// Takes bytes as they arrive; a failure ends the transfer.
using byte_sink = std::function<result<void>(std::string_view)>;

/// Why nothing can be fetched from a server that says this of itself: without v2 the pack comes in side bands only.
[[nodiscard]] std::optional<failure> too_old(const advertisement& found);

/// Passes a list of refs on, up to so many bytes; more is `too_large`.
[[nodiscard]] byte_sink list_of_at_most(std::uint64_t max_bytes, byte_sink sink);

/// Body of a fetch in one round: all wants, all haves, `done`. For v0 the server must have `side-band-64k`.
[[nodiscard]] std::string fetch_request(protocol_version protocol, const std::vector<oid>& wants, const std::vector<oid>& haves, std::string_view user_agent);

/// Most bytes of an answer that are not pack: acknowledgments, messages, signs of life. None but the last was asked for.
inline constexpr std::uint64_t max_chatter_bytes = 16U << 20U;

/// Reads the answer to `fetch_request` as it arrives: acknowledgments, then the pack in side-band packets, which goes to `pack`. Messages are dropped:
/// they are somebody else's words.
class fetch_reader {
public:
  fetch_reader(protocol_version protocol, byte_sink pack) : pack_(std::move(pack)), protocol_(protocol), part_(protocol == protocol_version::v2 ? part::heading : part::answers) {}
  result<void> feed(std::string_view bytes);
  /// Fails with `unavailable` when the answer was cut short.
  result<void> finish();
  /// True once the first byte of the pack has arrived.
  [[nodiscard]] bool pack_begun() const noexcept { return pack_begun_; }

private:
  enum class part : std::uint8_t { heading, answers, pack, end };
  result<void> on_packet(packet_kind kind, std::string_view payload);
  result<void> on_heading(std::string_view line);
  result<void> on_answer(std::string_view line);
  result<void> on_band(std::string_view payload);
  packet_reader packets_;
  byte_sink pack_;
  protocol_version protocol_;
  part part_;
  bool pack_begun_ = false;
  std::uint64_t chatter_bytes_ = 0; ///< of packets that bring no pack
};

} // namespace veranda::git
