#pragma once

#include "messages/model/digest.hpp"
#include "messages/model/object.hpp"
#include "messages/model/oid.hpp"

namespace veranda {

enum class lifecycle : std::uint8_t { draft, proposed, published, deletion_proposed };
/// `Draft`, `Proposed`, `Published`, `DeletionProposed`.
[[nodiscard]] std::string_view to_string(lifecycle l) noexcept;
[[nodiscard]] std::optional<lifecycle> parse_lifecycle(std::string_view s) noexcept;

/// Key of a package revision within its repository. Its revision is that of its tag, 0 of a draft and -1 where there is no number, as with Porch.
struct package_revision_key {
  std::string path;    ///< directories above the package, relative to the repository's directory; may be empty
  std::string package; ///< leaf name
  std::int64_t revision = 0;
  std::string workspace;
  auto operator<=>(const package_revision_key&) const = default;
  /// `path/package`, or `package`.
  [[nodiscard]] std::string package_name() const;
};

/// kpt lock (type git).
struct git_lock {
  std::string repo;
  std::string directory;
  std::string ref;
  std::string commit;
  bool operator==(const git_lock&) const = default;
};

struct package_condition {
  std::string type;
  std::string status;
  std::string reason;
  std::string message;
  bool operator==(const package_condition&) const = default;
};

/// What a Kptfile says (adapters/kpt/kptfile.hpp reads it). `problem` is set when it could not be decoded; everything else is empty then.
struct kptfile_facts {
  std::string problem;
  std::optional<git_lock> upstream_lock;
  std::vector<std::string> readiness_gates; ///< condition types
  std::vector<package_condition> conditions;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  bool operator==(const kptfile_facts&) const = default;
};

/// A package revision as discovered, ids only.
struct package_revision {
  package_revision_key key;
  std::string name; ///< Kubernetes object name (4.6)
  std::string uid;  ///< UUID version 5 (4.6)
  veranda::lifecycle lifecycle = veranda::lifecycle::published;
  bool latest = false;
  bool from_branch = false; ///< found on the registered branch: its commit is the tip of `ref`
  std::string ref;          ///< full remote name, `refs/tags/a/v1`
  oid commit;
  oid tree; ///< git tree of the package; the id of its `package_tree` in the store
  git_lock self_lock;
  std::string published_by;
  std::optional<wall_time> published_at;
  std::string task_json; ///< compact JSON of the one task, empty when there is none
  kptfile_facts kptfile;

  /// SHA-256 over every field that a reader can see, except `commit` and the lock's commit when `from_branch`:
  /// those follow the branch's tip, which is stored once per repository.
  [[nodiscard]] sha256_digest digest() const;
  bool operator==(const package_revision&) const = default;
};

/// How a file of a package is kept.
enum class file_kind : std::uint8_t { regular, executable, symlink, omitted_too_large };

struct package_file {
  std::string path; ///< relative to the package, `/`-separated
  file_kind kind = file_kind::regular;
  oid blob;
  std::uint64_t size_bytes = 0;
  bool operator==(const package_file&) const = default;
};

/// The files of one package, by the id of its git tree. Immutable: the id determines the files.
struct package_tree {
  oid tree;
  std::vector<package_file> files; ///< sorted by path
  bool operator==(const package_tree&) const = default;
};

/// The bytes of one blob.
struct package_content {
  oid blob;
  std::string data;
};

/// Something found in a remote that is not (or not wholly) a package revision, and why. Isolated: the rest still counts.
struct bad_item {
  std::string what;   ///< ref or `ref:path`
  std::string reason; ///< one sentence
  bool excluded = true; ///< false: the revision is in the cache, but something of it was lost (an undecodable Kptfile, a large file)
  auto operator<=>(const bad_item&) const = default;
};

} // namespace veranda
