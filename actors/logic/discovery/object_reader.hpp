#pragma once

#include "messages/model/failure.hpp"
#include "messages/model/oid.hpp"
#include "messages/model/package_revision.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace veranda::logic {

enum class git_object_type : std::uint8_t { commit = 1, tree = 2, blob = 3, tag = 4 };

struct git_object {
  git_object_type type = git_object_type::blob;
  std::string data;
};

struct git_object_header {
  git_object_type type = git_object_type::blob;
  std::uint64_t size_bytes = 0;
};

/// No object that is read as a whole needs to be larger, unless a limit of its own says so.
inline constexpr std::uint64_t most_object_bytes = 64U << 20U;

/// Raw git objects by id. Tests use one in memory; the real one reads a mirror's object database. Blocks. Failures: `not_found` (a missing
/// object: the mirror must be refetched), `corrupt_cache`, `checksum_mismatch`, `too_large`.
class object_reader {
public:
  virtual ~object_reader() = default;
  /// An object of more than `max_bytes` is `too_large`. The memory that is spent before that is known is bounded: the more, the larger `max_bytes`.
  virtual result<git_object> read(const oid& id, std::uint64_t max_bytes = most_object_bytes) = 0;
  virtual result<git_object_header> header(const oid& id) = 0;
};

/// One `kpt:` line of a commit message: a JSON object behind `kpt:`, as Porch writes it.
struct commit_annotation {
  std::string package; ///< full path from the repository root
  std::string workspace;
  std::string revision;
  std::string task_type; ///< `init`, `clone`, `edit`, `upgrade`, older types, or empty
  std::string task_json; ///< compact JSON of the task object, or empty
  bool operator==(const commit_annotation&) const = default;
};

/// Decoders of outside formats, kept out of the algorithm. Neither blocks nor throws.
class package_decoder {
public:
  virtual ~package_decoder() = default;
  /// Strict decoding of a Kptfile (4.8); what cannot be decoded is named in `problem`.
  virtual kptfile_facts decode_kptfile(std::string_view text) = 0;
  /// All well-formed annotations of a commit message, in order; ill-formed lines are dropped (their number is added to `dropped`).
  virtual std::vector<commit_annotation> decode_annotations(std::string_view message, std::size_t& dropped) = 0;
};

} // namespace veranda::logic
