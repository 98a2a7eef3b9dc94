#pragma once

#include "adapters/git/git_remote.hpp"
#include "adapters/git/pkt_line.hpp"

#include <optional>

namespace veranda::git {

/// A list of refs of more than `max_bytes`.
[[nodiscard]] failure list_too_large(std::uint64_t max_bytes);

inline constexpr std::string_view upload_pack_service = "git-upload-pack";
inline constexpr std::string_view receive_pack_service = "git-receive-pack";

/// Names that git itself would accept for a ref below `refs/` (or `HEAD`), at most 1,024 bytes; others are not taken from a server.
[[nodiscard]] bool valid_ref_name(std::string_view name) noexcept;

/// True when `name` was asked for: it is one of the full names, or below one of the prefixes ending in `/`. No prefixes: everything.
[[nodiscard]] bool wanted_ref(std::string_view name, const ref_prefixes& prefixes) noexcept;

/// Collects the refs that were asked for into a table.
class ref_collector {
public:
  ref_collector(const ref_prefixes& prefixes, std::uint64_t max_refs) : prefixes_(prefixes), max_refs_(max_refs) {}
  /// Drops what was not asked for or is no ref name. Fails with `too_large` beyond the limit.
  result<void> add(std::string_view name, const oid& target, const oid& peeled);
  /// The peeled value of the ref added last, when that is `name` (the advertisement's `name^{}` lines).
  void peel_last(std::string_view name, const oid& peeled);
  void set_head(std::string_view target);
  /// Sorted, names unique.
  ref_table_ptr finish();

private:
  const ref_prefixes& prefixes_;
  std::uint64_t max_refs_;
  ref_table table_;
};

/// Body of a v2 `ls-refs` request for these refs, and for HEAD.
[[nodiscard]] std::string ls_refs_request(const ref_prefixes& prefixes, std::string_view user_agent);

/// Parses a v2 `ls-refs` answer as it arrives.
class ls_refs_reader {
public:
  ls_refs_reader(const ref_prefixes& prefixes, std::uint64_t max_refs) : collector_(prefixes, max_refs) {}
  result<void> feed(std::string_view bytes);
  /// Fails with `unavailable` when the answer was cut short.
  result<ref_table_ptr> finish();

private:
  result<void> on_packet(packet_kind kind, std::string_view payload);
  packet_reader packets_;
  ref_collector collector_;
  bool complete_ = false;
};

/// What a server says of itself, and, when it has no v2, its refs.
struct advertisement {
  protocol_version protocol = protocol_version::unknown;
  std::vector<std::string> capabilities;
  ref_table_ptr refs; ///< v0 and v1 only
  [[nodiscard]] bool has(std::string_view capability) const noexcept;
};

/// Parses an advertisement (`info/refs?service=git-upload-pack`, or the first thing such a service says) as it arrives: v0, v1 or v2, with or without
/// the service announcement of smart HTTP.
class advertisement_reader {
public:
  advertisement_reader(const ref_prefixes& prefixes, std::uint64_t max_refs, std::string_view service = upload_pack_service)
      : collector_(prefixes, max_refs), service_(service) {}
  result<void> feed(std::string_view bytes);
  /// Its end has arrived.
  [[nodiscard]] bool complete() const noexcept { return state_ == state::complete && packets_.at_boundary(); }
  /// Fails with `unavailable` when cut short, with `unsupported` for an object format other than SHA-1.
  result<advertisement> finish();

private:
  enum class state : std::uint8_t { start, announced, capabilities, refs, complete };
  result<void> on_packet(packet_kind kind, std::string_view payload);
  result<void> on_capability(std::string_view line);
  result<void> on_ref(std::string_view line);
  packet_reader packets_;
  ref_collector collector_;
  std::string_view service_;
  advertisement found_;
  state state_ = state::start;
};

/// What the whole answer to `ls-refs` lists; its table is left out when the digest is the known one.
[[nodiscard]] result<listing> read_ls_refs(std::string_view answer, const ref_prefixes& prefixes, const std::string& known_digest, std::uint64_t max_refs);

/// The same for a table from a server without v2.
[[nodiscard]] listing listing_of(ref_table_ptr table, const std::string& known_digest);

/// Digest over a parsed table, for servers without v2 (their advertisements may hold session ids).
[[nodiscard]] std::string table_digest(const ref_table& table);

} // namespace veranda::git
