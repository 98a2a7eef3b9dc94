#pragma once

#include "actors/logic/discovery/bad_items.hpp"
#include "actors/logic/discovery/object_reader.hpp"
#include "actors/logic/package_delta.hpp"
#include "messages/model/sync.hpp"

namespace veranda::logic {

/// Raised whenever a rule of discovery changes: it is part of the sync basis, so that every repository is compared anew.
inline constexpr std::uint32_t discovery_rules_version = 2;

/// Bounds on hostile content. Exceeding one isolates the item and names it.
struct discovery_limits {
  std::uint64_t max_object_bytes = 16U << 20U;      ///< commits, trees, tags, Kptfiles
  std::uint64_t max_resource_bytes = 8U << 20U;     ///< one file of a package; larger ones are listed, not kept
  std::uint64_t max_sync_bytes = 4ULL << 30U;       ///< of package files that one sync brings into the store; more fails it with `too_large`
  std::uint32_t max_files_per_package = 10'000;
  std::uint32_t max_tree_depth = 64;
  std::uint32_t max_packages_on_branch = 100'000;
  std::uint32_t max_tree_entries = 1'000'000;
  std::uint32_t max_tag_depth = 1;                  ///< annotated tags are peeled one level (4.4)
  std::uint64_t max_history_bytes = 256U << 20U;    ///< annotations and parents of the commits that one run reads for the first time; more is `too_large`
  std::uint64_t max_metadata_bytes = 512U << 20U;   ///< memory of the revisions that one run builds; more is `too_large`
};

/// Which part of a remote one Repository sees.
struct discovery_request {
  object_key repository;
  std::string url;       ///< as in the spec, for locks
  std::string branch;
  std::string directory; ///< no outer slashes
  ref_table_ptr refs;
  discovery_limits limits;
};

struct discovery_result {
  std::vector<package_revision> revisions; ///< sorted by name, names unique
  std::vector<bad_item> bad;               ///< the first of them, sorted
  std::uint64_t bad_count = 0;             ///< of all
  oid branch_commit;                       ///< zero: the branch does not exist
  bool directory_missing = false;          ///< the branch exists but has no such directory
};

/// What was found, as what differs from a cache.
struct discovery_changes {
  package_delta delta; ///< `stats.fetched_bytes` is left to the caller
  oid branch_commit;
  bool directory_missing = false;
};

/// What was learnt from objects whose ids cannot change their meaning: commits with their annotations, ref targets, Kptfiles by blob id.
/// Discovery with a filled index gives exactly what it gives with an empty one, without reading those objects again.
class discovery_index {
public:
  discovery_index();
  ~discovery_index();
  discovery_index(discovery_index&&) noexcept;
  discovery_index& operator=(discovery_index&&) noexcept;

  /// Compact, versioned, checksummed. A damaged or foreign image loads as nothing (and says so with `corrupt_cache`): it is only a memory.
  [[nodiscard]] std::string save() const;
  static result<discovery_index> load(std::string_view image);
  /// True when something was learnt since the load.
  [[nodiscard]] bool changed() const noexcept;
  /// Objects read from the reader while filling it: what a profile and tests of "nothing is read twice" look at.
  [[nodiscard]] std::uint64_t objects_read() const noexcept;

  struct impl;
  impl& access() noexcept { return *impl_; }

private:
  std::unique_ptr<impl> impl_;
};

/// True when this ref can matter to a Repository with this branch and directory.
[[nodiscard]] bool is_visible(std::string_view ref, std::string_view branch, std::string_view directory);

/// The basis digest of all that discovery depends on: visible refs, the fields of the spec that discovery reads, `discovery_rules_version`.
[[nodiscard]] sync_basis basis_of(const ref_table& refs, const object_key& key, const repository_spec& spec);

/// Finds every package revision, by the rules of rules.hpp, in one pass that reads each commit once. A missing object fails the whole with
/// `not_found` (the caller refetches), a damaged store with the reader's own code, a branch whose tip is no commit with `unsupported`; anything
/// else bad about one item isolates that item. `cancelled`/`timed_out` when the token says so.
[[nodiscard]] result<discovery_result> discover(const discovery_request& request, object_reader& reader, package_decoder& decoder,
                                                discovery_index& index, const cancel_token& cancel);

/// The same discovery, compared with what is cached: `make_delta` of its result, its basis' commit being the branch's tip, or empty. The index remembers each
/// revision's digest with what determined it, so only revisions that differ, or are seen for the first time, are built.
[[nodiscard]] result<discovery_changes> discover_changes(const discovery_request& request, std::vector<cached_entry> cached, sync_basis basis,
                                                         object_reader& reader, package_decoder& decoder, discovery_index& index, const cancel_token& cancel);

/// Lists the files of one package tree (4.8 Resources): blobs below it, symlinks as files holding their target, submodules skipped.
/// What is left out or not kept goes to `bad`, named by its path within the package.
[[nodiscard]] result<package_tree> list_package(const oid& tree, object_reader& reader, const discovery_limits& limits, bad_items& bad);

} // namespace veranda::logic
