#pragma once

#include "messages/model/refs.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace veranda::git {

/// Which refs to ask for: full names or prefixes ending in `/`.
using ref_prefixes = std::vector<std::string>;

/// What is remembered of a server between calls.
enum class protocol_version : std::uint8_t { unknown, v0, v2 };

struct listing {
  std::string digest; ///< hex SHA-256 of the refs; equal digest means equal table
  ref_table_ptr refs; ///< null when the digest equals the known one
  protocol_version protocol = protocol_version::unknown;
  std::uint64_t received_bytes = 0;
  std::optional<std::chrono::milliseconds> host_pause = {}; ///< the host's budget is used up: how long it wants to be left alone
};

} // namespace veranda::git
