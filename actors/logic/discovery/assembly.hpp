#pragma once

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
  std::uint32_t commit = none;
  std::uint32_t publication = none; ///< the commit that says who and when
  std::uint32_t facts = none;
  std::uint32_t task = none;
};

/// Gives the candidates their names, keeps one of each name and of each positive revision of a package, marks the latest ones and sorts.
/// Views in the candidates must outlive the call.
void assemble(const discovery_request& request, session& s, const std::vector<candidate>& candidates, discovery_result& out);

} // namespace veranda::logic
