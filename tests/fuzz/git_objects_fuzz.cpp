// links: veranda_logic
#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

#include <cstdlib>

using namespace veranda::logic;

/// Raw objects, names and index images from outside: nothing reads beyond its text, and reports are always printable.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  (void)parse_commit(text);
  (void)parse_tag(text);
  tree_cursor cursor{text};
  for (tree_entry entry; cursor.next(entry);)
    if (entry.name.empty() || entry.name.find('/') != std::string_view::npos)
      std::abort();
  if (!is_utf8(printable(text)) || has_control(printable(text)) || !is_utf8(repaired(text)))
    std::abort();
  const parsed_ref ref = parse_ref(text);
  if (ref.kind == ref_kind::tag && ref.path.empty() && !text.starts_with("refs/tags//"))
    std::abort();
  (void)path_problem(text);
  (void)revision_number(text);
  (void)discovery_index::load(text);
  return 0;
}
