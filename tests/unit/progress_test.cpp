// links: veranda_actors
#define BOOST_TEST_MODULE progress
#include "tools/verandad/progress.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;

namespace {

cell_view shown(const std::string& kind, const std::string& state, std::vector<std::pair<std::string, std::string>> details = {}) {
  cell_view view;
  view.kind = kind;
  view.state = state;
  view.details = std::move(details);
  return view;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_line_is_cut_between_characters) {
  struct row {
    std::string line;
    std::size_t columns;
    std::string fits;
  };
  const row rows[] = {
    {"abc", 3, "abc"},       {"abcd", 3, "abc"}, {"abc", 0, ""}, {"", 5, ""},
    {"a\xc3\xa9z", 2, "a\xc3\xa9"},                         // two bytes, one column
    {"a\xe4\xb8\xad z", 2, "a"},                            // three bytes, two columns
    {"a\xe4\xb8\xad z", 3, "a\xe4\xb8\xad"},
    {"\xf0\x9f\x98\x80!", 3, "\xf0\x9f\x98\x80!"},
    {"a\tb\x1b[2J", 4, "a?b?"},                             // nothing that moves the cursor
  };
  for (const auto& r : rows)
    BOOST_TEST(fit_to_columns(r.line, r.columns) == r.fits);
}

BOOST_AUTO_TEST_CASE(the_count_reaches_the_end) {
  std::vector<cell_view> cells;
  BOOST_TEST(progress_text(cells) == "reading manifests");
  cells = {shown("repository", "Ready"), shown("repository", "Reconciling"), shown("worker", "busy", {{"job", "sync team/a"}, {"progress", "fetching 10 objects"}}),
           shown("worker", "busy", {{"job", "sync team/b"}}), shown("worker", "idle")};
  BOOST_TEST(progress_text(cells) == "1/2 repositories  busy sync team/a fetching 10 objects; 1 more at work");
  cells = {shown("repository", "Ready"), shown("repository", "Error"), shown("repository", "Suspended")};
  BOOST_TEST(progress_text(cells) == "3/3 repositories");
}
