#include "adapters/git/fetch_protocol.hpp"

#include "adapters/git/error_map.hpp"

namespace veranda::git {

namespace {

failure shallow_refused() { return {ec::unsupported, "the remote repository is a shallow clone, which lacks history; use a complete one", {}, {}, {}}; }

std::string v2_request(const std::vector<oid>& wants, const std::vector<oid>& haves, std::string_view user_agent) {
  std::string body;
  body.reserve(256 + 50 * (wants.size() + haves.size()));
  append_packet(body, "command=fetch");
  append_packet(body, "agent=" + agent_of(user_agent));
  append_packet(body, "object-format=sha1");
  append_delimiter(body);
  append_packet(body, "thin-pack");
  append_packet(body, "ofs-delta");
  append_packet(body, "no-progress");
  for (const auto& id : wants) append_packet(body, "want " + id.hex() + "\n");
  for (const auto& id : haves) append_packet(body, "have " + id.hex() + "\n");
  append_packet(body, "done\n");
  append_flush(body);
  return body;
}

std::string v0_request(const std::vector<oid>& wants, const std::vector<oid>& haves, std::string_view user_agent) {
  std::string body;
  std::string capabilities = " side-band-64k thin-pack ofs-delta no-progress agent=" + agent_of(user_agent);
  for (const auto& id : wants) {
    append_packet(body, "want " + id.hex() + capabilities + "\n");
    capabilities.clear();
  }
  append_flush(body);
  for (const auto& id : haves) append_packet(body, "have " + id.hex() + "\n");
  append_packet(body, "done\n");
  return body;
}

} // namespace

std::optional<failure> too_old(const advertisement& found) {
  if (found.protocol != protocol_version::v0 || found.has("side-band-64k")) return std::nullopt;
  return failure{ec::unsupported, "the server's git is too old: it lacks side-band-64k", {}, {}, {}};
}

byte_sink list_of_at_most(std::uint64_t max_bytes, byte_sink sink) {
  return [max_bytes, taken = std::uint64_t{0}, sink = std::move(sink)](std::string_view bytes) mutable -> result<void> {
    taken += bytes.size();
    return taken > max_bytes ? list_too_large(max_bytes) : sink(bytes);
  };
}

std::string fetch_request(protocol_version protocol, const std::vector<oid>& wants, const std::vector<oid>& haves, std::string_view user_agent) {
  return protocol == protocol_version::v2 ? v2_request(wants, haves, user_agent) : v0_request(wants, haves, user_agent);
}

result<void> fetch_reader::feed(std::string_view bytes) {
  return packets_.feed(bytes, [this](packet_kind kind, std::string_view payload) { return on_packet(kind, payload); });
}

result<void> fetch_reader::on_packet(packet_kind kind, std::string_view payload) {
  const bool pack = part_ == part::pack && kind == packet_kind::data && payload.size() > 1 && payload.front() == 1;
  if (!pack) chatter_bytes_ += payload.size() + 4;
  if (chatter_bytes_ > max_chatter_bytes)
    return failure{ec::too_large, "the server sends more than " + std::to_string(max_chatter_bytes) + " bytes of messages with the pack; see what its hooks say", {}, {}, {}};
  if (part_ == part::end) return kind == packet_kind::response_end ? result<void>{} : malformed("bytes follow the pack");
  if (kind == packet_kind::flush) {
    if (part_ != part::pack) return malformed("the answer holds no pack");
    part_ = part::end;
    return {};
  }
  if (kind == packet_kind::delimiter && protocol_ == protocol_version::v2 && part_ == part::answers) {
    part_ = part::heading;
    return {};
  }
  if (kind != packet_kind::data) return malformed("an unexpected mark in the answer to a fetch");
  if (part_ == part::pack) return on_band(payload);
  const auto line = without_newline(payload);
  if (line.starts_with("ERR ")) return remote_error(line.substr(4));
  if (part_ == part::heading) return on_heading(line);
  if (protocol_ == protocol_version::v0 && !payload.empty() && payload.front() <= 3 && payload.front() > 0) {
    part_ = part::pack;
    return on_band(payload);
  }
  return on_answer(line);
}

result<void> fetch_reader::on_heading(std::string_view line) {
  if (line == "packfile") {
    part_ = part::pack;
    return {};
  }
  if (line == "acknowledgments") {
    part_ = part::answers;
    return {};
  }
  if (line == "shallow-info") return shallow_refused();
  return malformed("an unknown section in the answer to a fetch");
}

result<void> fetch_reader::on_answer(std::string_view line) {
  if (line == "NAK" || line == "ready" || line.starts_with("ACK ")) return {};
  if (line.starts_with("shallow ") || line.starts_with("unshallow ")) return shallow_refused();
  return malformed("an unknown line in the answer to a fetch");
}

result<void> fetch_reader::on_band(std::string_view payload) {
  if (payload.empty()) return malformed("a side-band packet without a band");
  switch (payload.front()) {
    case 1:
      if (payload.size() == 1) return {}; // the server's sign of life
      pack_begun_ = true;
      return pack_(payload.substr(1));
    case 2: return {};
    case 3: return remote_error(without_newline(payload.substr(1)));
    default: return malformed("an unknown side band");
  }
}

result<void> fetch_reader::finish() {
  if (part_ != part::end || !packets_.at_boundary()) return failure{ec::unavailable, "the pack was cut short; it is fetched again", {}, {}, {}};
  return {};
}

} // namespace veranda::git
