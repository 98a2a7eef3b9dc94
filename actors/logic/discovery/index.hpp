#pragma once

#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/text_pool.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <type_traits>
#include <vector>

/// What a discovery index holds: flat records that refer to each other by number, so that an image is a copy of memory.
/// Parents have lower numbers than their children.
namespace veranda::logic {

struct commit_record {
  oid id;
  oid tree;
  std::int64_t committed = 0;         ///< Unix seconds
  std::int64_t authored = 0;          ///< Unix seconds, or `no_time`
  std::uint32_t generation = 0;       ///< 1 + the highest of the parents
  std::uint32_t depth = 0;            ///< commits below this one in its run of single-parent commits
  std::uint32_t jump = 0;             ///< a commit further down the run (itself at the run's end), for climbing in logarithmic time
  std::uint32_t first_parent = 0;     ///< index into `parents`
  std::uint32_t parent_count = 0;
  std::uint32_t first_annotation = 0; ///< index into `annotations`
  std::uint32_t annotation_count = 0;
  text_id author = 0;                 ///< e-mail
  std::uint32_t monotone = 0;         ///< 1: nowhere at or below is a commit older than one of its parents
  std::uint32_t problem_below = 0;    ///< 1: this commit or one below could not be read as a commit
  text_id problem = 0;                ///< why this one could not; it then has no parents and no tree
  std::uint32_t reserved = 0;
};

enum class task_kind : std::uint32_t { absent, first, later, ignored };

struct annotation_record {
  std::uint32_t commit = 0;
  text_id package = 0;
  text_id workspace = 0;
  text_id revision = 0;
  task_kind kind = task_kind::absent; ///< `first`: init or clone, `later`: edit or upgrade
  text_id task = 0;
  std::uint32_t previous = none;    ///< the annotation of the same package that was learnt before
};

enum class target_status : std::uint32_t { commit, bad };

/// An object that a ref names and that is no commit: an annotated tag with its commit, or why it names none.
struct target_record {
  oid id;
  oid commit;
  target_status status = target_status::bad;
  text_id problem = 0;
};

enum class ref_status : std::uint32_t { package, absent, bad };

/// What a tag, draft or proposed ref means while it names the same object.
struct ref_record {
  oid target;
  oid tree;
  std::int64_t revision = 0;
  text_id name = 0;
  ref_status status = ref_status::bad;
  text_id problem = 0;
  std::uint32_t commit = none;
  std::uint32_t facts = none;
  text_id workspace = 0;
  std::uint32_t task = none; ///< annotation
  std::uint32_t used = 0;    ///< the run of discovery that last looked at it
};

enum class tree_kind : std::uint32_t { directory, package, bad };

struct tree_record {
  oid id;
  tree_kind kind = tree_kind::bad;
  text_id problem = 0; ///< of a bad tree; of a directory: why its `Kptfile` makes no package
  std::uint32_t facts = none;
  std::uint32_t first_child = 0; ///< index into `children`
  std::uint32_t child_count = 0;
  std::uint32_t entries = 0;
};

struct child_record {
  oid id;
  text_id name = 0;
};

struct facts_record {
  oid blob;
  text_id facts = 0; ///< encoded, see facts.hpp
};

/// The tree where the last walk of a branch began.
struct walk_record {
  text_id branch = 0;
  text_id directory = 0;
  oid root;
  std::uint32_t commit = none;
  std::uint32_t used = 0;
};

/// The digest of a package revision that was built before, with all that determines it besides the request.
struct row_record {
  std::uint64_t context = 0; ///< hash of what the request says
  sha256_digest digest{};
  oid tree;                         ///< of a branch's package; a ref's record has it
  std::uint32_t subject = none;     ///< number of the ref's record, or the text of a branch package's path
  std::uint32_t publication = none; ///< commit; of a branch's package
  std::uint32_t task = none;        ///< annotation; of a branch's package
  std::uint32_t state = 0;          ///< lifecycle, latest and from_branch in one
  std::uint32_t used = 0;           ///< the run of discovery that last looked at it

  static constexpr std::uint32_t from_branch_bit = 1U << 8U;
  static constexpr std::uint32_t latest_bit = 1U << 9U;
  [[nodiscard]] bool from_branch() const noexcept { return (state & from_branch_bit) != 0; }
  /// True when the other has the same digest for certain.
  [[nodiscard]] bool same_input(const row_record& o) const noexcept {
    return context == o.context && tree == o.tree && subject == o.subject && publication == o.publication && task == o.task && state == o.state;
  }
};

/// Records are written as they lie in memory: no padding, no pointers.
template <class T>
concept flat_record = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;
static_assert(flat_record<commit_record> && flat_record<annotation_record> && flat_record<target_record> && flat_record<ref_record> &&
              flat_record<tree_record> && flat_record<child_record> && flat_record<facts_record> && flat_record<walk_record> && flat_record<row_record> &&
              flat_record<text_pool::span>);

/// Everything that is kept, without the indexes.
struct index_content {
  std::vector<commit_record> commits;
  std::vector<std::uint32_t> parents;
  std::vector<annotation_record> annotations;
  std::vector<target_record> targets;
  std::vector<ref_record> refs;
  std::vector<tree_record> trees;
  std::vector<child_record> children;
  std::vector<facts_record> facts;
  std::vector<walk_record> walks;
  std::vector<row_record> rows;
  text_pool texts;
  std::uint64_t limits_hash = 0; ///< of the limits under which it was learnt
  std::uint32_t runs = 0;        ///< discoveries so far
  std::uint64_t baseline = 0;    ///< `records()` after the last compaction

  [[nodiscard]] std::uint64_t records() const noexcept {
    return commits.size() + annotations.size() + refs.size() + trees.size() + children.size() + facts.size() + rows.size();
  }

  /// Calls `f` with each vector of records, in the order of an image.
  template <class F>
  void each(F f) {
    f(commits), f(parents), f(annotations), f(targets), f(refs), f(trees), f(children), f(facts), f(walks), f(rows);
  }
};

struct discovery_index::impl : index_content {
  bool changed = false;
  std::uint64_t objects_read = 0;
  std::vector<std::uint32_t> newest_annotation; ///< by text_id of the package

  [[nodiscard]] std::uint32_t find_commit(const oid& id) const;
  [[nodiscard]] std::uint32_t find_target(const oid& id) const;
  [[nodiscard]] std::uint32_t find_ref(const oid& target, std::string_view name) const;
  [[nodiscard]] std::uint32_t find_tree(const oid& id) const;
  [[nodiscard]] std::uint32_t find_facts(const oid& blob) const;
  [[nodiscard]] std::uint32_t newest_annotation_of(text_id package) const noexcept;

  /// Each appends a record that is not in yet and answers its number. Children, parents and annotations are appended by the caller before.
  std::uint32_t add(const commit_record& r);
  std::uint32_t add(const target_record& r);
  std::uint32_t add(const ref_record& r);
  std::uint32_t add(const tree_record& r);
  std::uint32_t add(const facts_record& r);
  void add(annotation_record r);

  /// The row of the same request and subject, whatever determined it then; null when there is none.
  [[nodiscard]] row_record* find_row(const row_record& like);
  /// Puts it in place of the row of the same request and subject.
  void put(const row_record& r);

  /// Forgets everything when it was learnt under other limits.
  void begin_run(const discovery_limits& limits);
  /// Takes content that holds together and builds the indexes.
  void adopt(index_content&& content);

private:
  flat_index commit_index_;
  flat_index target_index_;
  flat_index ref_index_;
  flat_index tree_index_;
  flat_index facts_index_;
  flat_index row_index_;
  void link(std::uint32_t annotation);
};

/// A copy of what can still be of use: refs seen in the last runs, the trees of the last walks, and what those need.
[[nodiscard]] index_content compacted(const index_content& content);
/// True when so much of the content is of no use any more that a compaction pays.
[[nodiscard]] bool needs_compaction(const index_content& content);

/// Image of the content, and back: nothing when the image is damaged, foreign, or does not hold together.
[[nodiscard]] std::string encode_image(index_content& content);
[[nodiscard]] std::optional<index_content> decode_image(std::string_view image);

} // namespace veranda::logic
