#pragma once

#include "actors/logic/discovery/object_reader.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

/// Parsers of raw git objects. They accept what git itself accepts, never read beyond the text and never throw but for memory.
namespace veranda::logic {

/// Time of a signature that has none: Go's zero time, as in Porch, older than every other.
inline constexpr std::int64_t no_time = -62'135'596'800;

/// A commit; views into the parsed text.
struct parsed_commit {
  oid tree;
  std::vector<oid> parents;
  std::int64_t authored = no_time;  ///< Unix seconds
  std::int64_t committed = no_time; ///< Unix seconds
  std::string_view author_email;
  std::string_view message;
};
/// Nothing when the text is no commit (no tree, a bad id).
[[nodiscard]] std::optional<parsed_commit> parse_commit(std::string_view text);

struct parsed_tag {
  oid object;
  std::string_view type; ///< `commit`, `tree`, `blob`, `tag`
};
[[nodiscard]] std::optional<parsed_tag> parse_tag(std::string_view text);

enum class entry_kind : std::uint8_t { file, executable, symlink, tree, submodule, unknown };

struct tree_entry {
  entry_kind kind = entry_kind::unknown;
  std::string_view name;
  oid id;
};

/// Walks the entries of a raw tree in stored order.
class tree_cursor {
public:
  explicit tree_cursor(std::string_view text) noexcept : rest_(text) {}
  /// False at the end, and where the text is malformed (`malformed()` tells).
  [[nodiscard]] bool next(tree_entry& entry) noexcept;
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

private:
  std::string_view rest_;
  bool malformed_ = false;
};

/// `commit`, `tree`, `blob`, `tag`.
[[nodiscard]] std::string_view to_string(git_object_type type) noexcept;

} // namespace veranda::logic
