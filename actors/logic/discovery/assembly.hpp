#pragma once

#include "actors/logic/discovery/bad_items.hpp"
#include "actors/logic/discovery/session.hpp"

namespace veranda::logic {

/// A package revision that was found, before names are compared.
struct candidate {
  std::string_view full_path; ///< from the git root
  std::string_view ref;       ///< full name
  std::string_view last;      ///< what the ref's name says of the revision or workspace
  veranda::lifecycle lifecycle = veranda::lifecycle::published;
  bool from_branch = false;
  std::int64_t revision = -1;
  std::string_view workspace;
  oid tree;
  std::uint32_t subject = none; ///< the ref's record, or the text of a branch package's path
  std::uint32_t commit = none;
  std::uint32_t publication = none; ///< the commit that says who and when
  std::uint32_t facts = none;
  std::uint32_t task = none;
};

/// Gives the candidates their names, keeps one of each name and of each positive revision of a package and marks the latest ones. What becomes of each
/// is decided before the first value is built. Views in the candidates, and everything given here, must outlive it.
class assembly {
public:
  assembly(const discovery_request& request, session& s, const std::vector<candidate>& candidates, bad_items& bad);

  /// All of them, sorted by name; `too_large` when they take more memory than the limits allow.
  [[nodiscard]] result<std::vector<package_revision>> all();
  /// Fills `delta` but for `bad` and `basis` with what differs from `cached`, and remembers the digest of every row.
  [[nodiscard]] result<void> compare(std::vector<cached_entry>&& cached, package_delta& delta);

private:
  struct named {
    const candidate* from;
    std::string_view path;    ///< of the key
    std::string_view package; ///< of the key
    std::string_view name;
    std::uint64_t package_hash;
    bool canonical;
    bool latest;
  };
  using numbers = std::vector<std::uint32_t>;

  void add(const candidate& c);
  void exclude(const candidate& c, std::string reason);
  [[nodiscard]] numbers drop_repeated_names();
  void drop_repeated_revisions();
  void mark_latest();
  void report_problems();
  void sort_by_name(numbers& list) const;
  [[nodiscard]] bool same_package(std::uint32_t a, std::uint32_t b) const;
  [[nodiscard]] row_record row_of(const named& n) const;
  [[nodiscard]] package_revision build(const named& n) const;
  [[nodiscard]] result<void> keep(const package_revision& r);

  const discovery_request& request_;
  discovery_index::impl& index_;
  bad_items& bad_;
  std::uint64_t context_;
  std::string texts_; ///< the names, one after the other
  std::vector<named> names_;
  numbers kept_; ///< into `names_`
  std::uint64_t packages_ = 0;
  std::uint64_t kept_bytes_ = 0; ///< of what was built and is kept
};

} // namespace veranda::logic
