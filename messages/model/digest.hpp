#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace veranda {

using sha1_digest = std::array<std::uint8_t, 20>;
using sha256_digest = std::array<std::uint8_t, 32>;

[[nodiscard]] sha1_digest sha1(std::string_view data);
[[nodiscard]] sha256_digest sha256(std::string_view data);

/// Incremental SHA-1. Not thread safe.
class sha1_hasher {
public:
  sha1_hasher();
  ~sha1_hasher();
  sha1_hasher(const sha1_hasher&) = delete;
  sha1_hasher& operator=(const sha1_hasher&) = delete;

  void update(std::string_view data);
  /// Of what was given since the last call.
  [[nodiscard]] sha1_digest finish();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Incremental SHA-256. Not thread safe.
class sha256_hasher {
public:
  sha256_hasher();
  ~sha256_hasher();
  sha256_hasher(sha256_hasher&&) noexcept;
  sha256_hasher& operator=(sha256_hasher&&) noexcept;

  void update(std::string_view data);
  /// Length-prefixed, so that field boundaries are part of the digest.
  void update_field(std::string_view data);
  [[nodiscard]] sha256_digest finish();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Lower-case hexadecimal of any bytes.
[[nodiscard]] std::string to_hex(std::string_view bytes);
template <std::size_t N>
[[nodiscard]] std::string to_hex(const std::array<std::uint8_t, N>& bytes) {
  return to_hex(std::string_view{reinterpret_cast<const char*>(bytes.data()), N});
}
/// The value of a hexadecimal digit, -1 for anything else.
[[nodiscard]] int hex_value(char c) noexcept;

/// RFC 4122 version 5 UUID of `name` in the given namespace UUID (36 characters, lower case).
[[nodiscard]] std::string uuid_v5(std::string_view namespace_uuid, std::string_view name);

} // namespace veranda
