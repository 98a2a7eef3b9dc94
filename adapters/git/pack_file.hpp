#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/oid.hpp"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

namespace veranda::git {

/// A file mapped for reading, for as long as this lives.
class mapped_file {
public:
  static result<mapped_file> open(const std::filesystem::path& path);
  mapped_file(mapped_file&& other) noexcept;
  mapped_file& operator=(mapped_file&& other) noexcept;
  ~mapped_file();
  [[nodiscard]] std::string_view bytes() const noexcept { return {data_, size_}; }

private:
  mapped_file() = default;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

enum class entry_base : std::uint8_t { none, offset, id };

/// One object as a pack holds it.
struct pack_entry {
  oid id;
  std::uint64_t offset = 0;
  std::uint32_t checksum = 0; ///< CRC-32 of `whole`
  std::string_view whole;     ///< header and compressed data
  std::string_view packed;    ///< the compressed data
  int type = 0;               ///< as in the header: 1 to 4, 6 and 7 for deltas
  std::uint64_t size = 0;     ///< inflated
  entry_base base = entry_base::none;
  std::uint64_t base_offset = 0;
  oid base_id;
};

/// A pack (version 2) with its index (version 2). Everything is checked against the sizes of the files and each entry against its checksum; contents are not
/// inflated. Failures: `corrupt_cache`, `unavailable`.
class pack_file {
public:
  static result<pack_file> open(const std::filesystem::path& pack);
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }
  /// The `n`th object in the order of the pack.
  [[nodiscard]] result<pack_entry> entry(std::size_t n) const;
  /// The id of the `n`th object, without looking at the pack.
  [[nodiscard]] oid id(std::size_t n) const noexcept { return id_of(order_[n].number); }
  /// The object that begins at this offset.
  [[nodiscard]] result<oid> id_at(std::uint64_t offset) const;

private:
  struct place {
    std::uint64_t offset;
    std::uint32_t number; ///< in the index
  };
  pack_file(mapped_file pack, mapped_file index) : pack_(std::move(pack)), index_(std::move(index)) {}
  result<void> read_index();
  [[nodiscard]] oid id_of(std::uint32_t number) const noexcept;
  [[nodiscard]] failure damaged() const;

  std::filesystem::path path_;
  mapped_file pack_;
  mapped_file index_;
  std::vector<place> order_; ///< by offset
};

/// CRC-32 as zlib and git have it.
[[nodiscard]] std::uint32_t crc32_of(std::string_view bytes) noexcept;

} // namespace veranda::git
