#pragma once

#include "adapters/git/fetch_protocol.hpp"
#include "adapters/git/ref_listing.hpp"
#include "adapters/process/child_process.hpp"

namespace veranda::git {

/// One exchange with a `git-upload-pack` or a `git-receive-pack` whose connection stays open while both sides speak in turn, as over ssh and git://: it says what it has, is asked once,
/// answers. Bytes in, bytes out; it blocks on nothing.
class exchange {
public:
  /// Sees what the service has and gives the request; an empty one: there is nothing to be asked.
  using ask_function = std::function<result<std::string>(advertisement found)>;
  /// `prefixes`: of the refs that `ask` wants to see; they and `limits` must outlive it.
  exchange(const ref_prefixes& prefixes, const transport_limits& limits, ask_function ask, byte_sink answer, std::string_view service = upload_pack_service)
      : hello_(prefixes, limits.max_refs, service), limits_(limits), ask_(std::move(ask)), answer_(std::move(answer)) {}
  exchange(const exchange&) = delete;
  exchange& operator=(const exchange&) = delete;

  /// Takes what the service says.
  result<void> hear(std::string_view bytes);
  /// What is to be said to it.
  [[nodiscard]] process::speech& words() noexcept { return words_; }
  /// All was said and heard: however the connection ends now, the exchange went well.
  [[nodiscard]] bool complete() const noexcept { return part_ == part::over; }
  [[nodiscard]] std::uint64_t heard_bytes() const noexcept { return heard_; }

private:
  enum class part : std::uint8_t { hello, answer, over };
  result<void> on_hello(std::string_view bytes);
  result<void> on_answer(std::string_view bytes);
  void end();
  advertisement_reader hello_;
  packet_walker packets_; ///< of the answer
  const transport_limits& limits_;
  ask_function ask_;
  byte_sink answer_;
  process::speech words_;
  protocol_version protocol_ = protocol_version::unknown;
  part part_ = part::hello;
  std::uint64_t heard_ = 0;
};

} // namespace veranda::git
