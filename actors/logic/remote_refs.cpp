#include "actors/logic/remote_refs.hpp"

#include <algorithm>
#include <array>

namespace veranda::logic {

namespace {

constexpr std::string_view heads = "refs/heads/";
constexpr std::string_view tags = "refs/tags/";
constexpr std::array<std::string_view, 3> workflow_prefixes{"refs/heads/deletionProposed/", "refs/heads/drafts/", "refs/heads/proposed/"};

bool is_mirrored(std::string_view name, const std::set<std::string>& branches) {
  if (name.starts_with(tags))
    return name.find('/', tags.size()) != std::string_view::npos;
  if (!name.starts_with(heads))
    return false;
  return std::any_of(workflow_prefixes.begin(), workflow_prefixes.end(), [&](std::string_view p) { return name.starts_with(p); }) ||
         branches.contains(std::string{name.substr(heads.size())});
}

} // namespace

std::vector<std::string> ref_prefixes_for(const std::set<std::string>& branches) {
  std::vector<std::string> prefixes;
  for (const auto& b : branches)
    prefixes.push_back(std::string{heads} + b);
  prefixes.insert(prefixes.end(), workflow_prefixes.begin(), workflow_prefixes.end());
  prefixes.emplace_back(tags);
  std::sort(prefixes.begin(), prefixes.end());
  return prefixes;
}

ref_table mirrored_refs(const ref_table& listed, const std::set<std::string>& branches) {
  ref_table kept;
  std::copy_if(listed.refs.begin(), listed.refs.end(), std::back_inserter(kept.refs), [&](const ref_entry& r) { return is_mirrored(r.name, branches); });
  return kept;
}

} // namespace veranda::logic
