#include "adapters/git/stream_upload_pack.hpp"

#include "messages/model/digest.hpp"

namespace veranda::git {

namespace {

constexpr std::chrono::seconds longest_farewell{2};

class stream_upload_pack final : public upload_pack {
public:
  stream_upload_pack(std::unique_ptr<exchange_carrier> carrier, const transport_limits& limits) : carrier_(std::move(carrier)), limits_(limits) {}

  result<protocol_version> ask_protocol(const failure& refusal) override {
    return spoken_ == protocol_version::v0 ? result<protocol_version>{spoken_} : refusal;
  }
  result<void> call(protocol_version protocol, const std::string& body, const byte_sink& sink) override {
    const ref_prefixes none{"HEAD"};
    const auto ask = [&](const advertisement& found) -> result<std::string> {
      spoken_ = found.protocol;
      if (auto why = too_old(found)) return *std::move(why);
      if (found.protocol != protocol) return failure{ec::unsupported, "the server speaks another version of git's protocol", {}, {}, {}};
      return body;
    };
    exchange talk{none, limits_, ask, sink};
    return carrier_->carry(talk);
  }
  [[nodiscard]] const remote_label& label() const noexcept override { return carrier_->label(); }

private:
  std::unique_ptr<exchange_carrier> carrier_;
  const transport_limits& limits_;
  protocol_version spoken_ = protocol_version::unknown;
};

} // namespace

std::unique_ptr<upload_pack> make_stream_upload_pack(std::unique_ptr<exchange_carrier> carrier, const transport_limits& limits) {
  return std::make_unique<stream_upload_pack>(std::move(carrier), limits);
}

result<listing> list_by_exchange(exchange_carrier& carrier, const ref_prefixes& prefixes, const std::string& known_digest, const transport_limits& limits) {
  advertisement hello;
  sha256_hasher hasher;
  ls_refs_reader reader{prefixes, limits.max_refs};
  const auto ask = [&](advertisement found) -> result<std::string> {
    hello = std::move(found);
    if (hello.protocol == protocol_version::v0) return std::string{};
    if (!hello.has("ls-refs")) return failure{ec::unsupported, "the server speaks protocol v2 without ls-refs", {}, {}, {}};
    return ls_refs_request(prefixes, limits.user_agent);
  };
  const auto read = [&](std::string_view bytes) {
    hasher.update(bytes);
    return reader.feed(bytes);
  };
  exchange talk{prefixes, limits, ask, list_of_at_most(limits.max_listing_bytes, read)};
  if (auto carried = carrier.carry(talk); !carried) return at_remote(std::move(carried).error(), carrier.label());
  listing out;
  if (hello.protocol == protocol_version::v0) {
    out = listing_of(hello.refs, known_digest);
  } else {
    auto table = reader.finish();
    if (!table) return at_remote(std::move(table).error(), carrier.label());
    out = {to_hex(hasher.finish()), nullptr, hello.protocol, 0};
    if (out.digest != known_digest) out.refs = *std::move(table);
  }
  out.received_bytes = talk.heard_bytes();
  return out;
}

result<void> exchange_watch::interrupted() {
  const auto now = std::chrono::steady_clock::now();
  if (talk_.complete()) {
    if (!complete_since_) complete_since_ = now;
    if (now - *complete_since_ > longest_farewell) return failure{ec::timed_out, "the connection stayed open", {}, {}, {}};
  }
  if (cancel_.expired()) {
    const auto why = cancel_.reason();
    return failure{why, why == ec::cancelled ? "the transfer was cancelled" : "no complete answer before the deadline", {}, {}, {}};
  }
  if (stall_.stalled()) return failure{ec::timed_out, "the server sends nothing, or too slowly; check the network and that the server is not overloaded", {}, {}, {}};
  return {};
}

result<void> exchange_watch::outcome(result<void> ended) const {
  if (talk_.complete()) return {};
  return ended ? failure{ec::unavailable, "the connection ended before the answer was complete", {}, {}, {}} : ended;
}

} // namespace veranda::git
