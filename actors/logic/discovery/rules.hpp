#pragma once

#include "messages/model/package_revision.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// What refs and names mean, by the same rules as Porch's (docs/replacing-porch-sync.md), as pure functions.
namespace veranda::logic {

inline constexpr std::string_view heads_prefix = "refs/heads/";
inline constexpr std::string_view tags_prefix = "refs/tags/";

/// Longest path, ref or object name that is looked at.
inline constexpr std::size_t max_name_bytes = 4096;
/// Largest revision number that every cache can hold.
inline constexpr std::int64_t max_revision = 2'147'483'647;

enum class ref_kind : std::uint8_t { other, tag, draft, proposed, deletion_proposed };

/// What a ref's name says (4.3): `path` is the package's path from the git root, `last` what follows its last slash.
/// A draft, proposed or deletionProposed ref without a slash has an empty `path`; so has nothing else.
struct parsed_ref {
  ref_kind kind = ref_kind::other;
  std::string_view path;
  std::string_view last;
  bool operator==(const parsed_ref&) const = default;
};
[[nodiscard]] parsed_ref parse_ref(std::string_view full_name) noexcept;

/// `refs/heads/` and its like for the kind: `refs/heads/drafts/`.
[[nodiscard]] std::string_view prefix_of(ref_kind kind) noexcept;

/// `main` for `refs/heads/main`, `a/v1` for `refs/tags/a/v1`.
[[nodiscard]] std::string_view short_ref(std::string_view full_name) noexcept;

/// True when `path` is `directory` or lies below it, component by component. The empty directory is the root.
[[nodiscard]] bool in_directory(std::string_view path, std::string_view directory) noexcept;
/// `path` without `directory`; requires `in_directory`.
[[nodiscard]] std::string_view relative_path(std::string_view path, std::string_view directory) noexcept;

/// Revision number of a text (4.5): one leading `v` is dropped; what is not a whole number, or does not fit, is -1.
[[nodiscard]] std::int64_t revision_number(std::string_view text) noexcept;
/// True for the spelling that Porch writes: `v3`, not `3`, `v03` or `v+3`.
[[nodiscard]] bool is_canonical_revision(std::string_view text, std::int64_t number);
/// Revision of what is found on a branch: -1, or the number that the branch is named.
[[nodiscard]] std::int64_t branch_revision(std::string_view branch) noexcept;

/// Kubernetes object name (4.6); empty when repository, package or workspace is.
[[nodiscard]] std::string object_name(std::string_view repository, std::string_view path, std::string_view package, std::string_view workspace);
/// The same appended to `out`, which grows by at most the sizes of the four and 3.
void append_object_name(std::string& out, std::string_view repository, std::string_view path, std::string_view package, std::string_view workspace);
/// UID of an API object (4.6).
[[nodiscard]] std::string object_uid(std::string_view prefix, std::string_view ns, std::string_view name);
[[nodiscard]] std::string package_revision_uid(std::string_view ns, std::string_view name);

/// What follows `deletionProposed/` in the ref that marks this revision (4.3); `full_path` is from the git root.
[[nodiscard]] std::string deletion_name(std::string_view full_path, std::int64_t revision, std::string_view workspace);

/// RFC 1123 label of at most 63 characters.
[[nodiscard]] bool is_label(std::string_view text) noexcept;
/// Why a path or a name cannot be kept at all: too long, not UTF-8, control characters, an empty, `.` or `..` component.
/// Empty when it can.
[[nodiscard]] std::string path_problem(std::string_view path);
/// The parts of a `package_revision_key` where they lie.
struct revision_key_view {
  std::string_view path;
  std::string_view package;
  std::int64_t revision = 0;
  std::string_view workspace;
};
/// Which rule of 4.12 a discovered name breaks; empty when none. Such names are kept, but other programs may refuse them.
/// A branch may be named as git allows, so its name is not judged.
[[nodiscard]] std::string name_problem(const revision_key_view& key, std::string_view name, bool from_branch);

} // namespace veranda::logic
