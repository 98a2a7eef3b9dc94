#pragma once

#include "adapters/store/package_cache.hpp"
#include "adapters/store/sqlite.hpp"

#include <functional>

namespace veranda::store {

/// Key of a tree or blob in the store: one byte for the algorithm, then the digest.
[[nodiscard]] std::string digest_key(const oid& id);
/// Inverse of `digest_key`; zero when it is none.
[[nodiscard]] oid from_digest_key(std::string_view key) noexcept;

/// Compact list of a tree's files.
[[nodiscard]] std::string encode_files(const std::vector<package_file>& files);
/// Throws `corrupt_cache` when the bytes are not such a list.
[[nodiscard]] std::vector<package_file> decode_files(std::string_view bytes);
/// Calls `f` with the blob of each file, without building the list.
void for_each_blob(std::string_view bytes, const std::function<void(const oid&)>& f);

} // namespace veranda::store
