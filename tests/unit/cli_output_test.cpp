// links: veranda_cli yaml-cpp
#define BOOST_TEST_MODULE cli_output
#include "tools/veranda/commands.hpp"
#include "tools/veranda/manifests.hpp"

#include <boost/test/unit_test.hpp>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <stdlib.h>

using namespace veranda;
using namespace veranda::cli;

namespace {

std::string printed(text_table& table) {
  std::ostringstream out;
  table.print(out);
  return out.str();
}

json parsed(const std::string& text) { return json::parse(text); }

/// A file of its own, removed at the end.
struct manifest_file {
  std::filesystem::path path;
  explicit manifest_file(const std::string& text) {
    auto name = (std::filesystem::temp_directory_path() / "veranda-cli-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = std::filesystem::path{name} / "m.yaml";
    std::ofstream{path} << text;
  }
  ~manifest_file() { std::filesystem::remove_all(path.parent_path()); }
  manifest_file(const manifest_file&) = delete;
  manifest_file& operator=(const manifest_file&) = delete;
};

} // namespace

BOOST_AUTO_TEST_CASE(tables_align_by_characters) {
  text_table table{{"NAME", "READY"}};
  BOOST_TEST(printed(table).empty()); // no rows, no headers
  table.add({"a", "True"});
  table.add({"b\xC3\xBC""cher", ""});
  BOOST_TEST(printed(table) == "NAME     READY\n"
                               "a        True\n"
                               "b\xC3\xBC""cher\n");
  table.add({"c", "False"});
  BOOST_TEST(printed(table) == "c        False\n"); // headers once, columns as wide as they were
}

BOOST_AUTO_TEST_CASE(columns_of_a_server_table_are_chosen_by_priority) {
  const auto columns = parsed(R"([{"name":"Name","priority":0},{"name":"Next Sync"},{"name":"Age","priority":1}])");
  const auto row = parsed(R"({"cells":["r",null,"5m"],"object":{"metadata":{"namespace":"blue"}}})");
  BOOST_TEST((table_headers(columns, false, false) == std::vector<std::string>{"NAME", "NEXT SYNC"}));
  BOOST_TEST((table_headers(columns, true, true) == std::vector<std::string>{"NAMESPACE", "NAME", "NEXT SYNC", "AGE"}));
  BOOST_TEST((table_row(columns, row, false, false) == std::vector<std::string>{"r", ""}));
  BOOST_TEST((table_row(columns, row, true, true) == std::vector<std::string>{"blue", "r", "", "5m"}));
}

BOOST_AUTO_TEST_CASE(cells_are_one_harmless_line) {
  const std::pair<json, const char*> cases[] = {{nullptr, ""}, {true, "true"}, {-1, "-1"}, {"a\nb", "a b"}, {"\x1b[31mred", "?[31mred"}};
  for (const auto& [cell, text] : cases)
    BOOST_TEST(cell_text(cell) == text);
}

BOOST_AUTO_TEST_CASE(yaml_is_block_style_in_the_given_order) {
  BOOST_TEST(to_yaml(parsed(R"({"b":1,"a":{"list":[{"x":true,"z":[]},"text"],"none":null,"empty":{}}})")) == "b: 1\n"
                                                                                                            "a:\n"
                                                                                                            "  list:\n"
                                                                                                            "  - x: true\n"
                                                                                                            "    z: []\n"
                                                                                                            "  - text\n"
                                                                                                            "  none: null\n"
                                                                                                            "  empty: {}\n");
  BOOST_TEST(to_yaml(parsed(R"({"file":"one\ntwo\n","cut":"one\ntwo","gap":"one\n\n"})")) == "file: |\n  one\n  two\ncut: |-\n  one\n  two\ngap: |+\n  one\n\n");
}

BOOST_AUTO_TEST_CASE(yaml_reads_back_as_the_same_text) {
  const std::vector<std::string> texts{"",      "plain",     "true",  "No",     "null",   "~",       "1",       "1e3",    "0x10",  "12e45",     "2026-01-01T00:00:00Z", "- a",
                                       "a: b",  "a #b",      "#a",    " a",     "a ",     "*a",      "&a",      "!a",     "{a",    "[a",        "%a",                   "@a",
                                       "`a",    "'a'",       "\"a\"", "|",      ">",      "a:",      "\t",      "a\nb",   "a\n",   "\na",       "  a\nb",               "a\tb\n",
                                       "a\r\n", "\x01",      "a\\b",  "---",    "...",    "a\n\n\n", "\xC3\xBC", "? a",    "=",     "<<",        "https://x/y?z=1#f",    "*/10 * * * *"};
  for (const auto& text : texts) {
    const auto yaml = to_yaml(json{{"key", text}, {"list", json::array({text})}, {"after", "x"}});
    BOOST_TEST_CONTEXT(yaml) {
      const auto read = YAML::Load(yaml);
      BOOST_TEST(read["key"].Scalar() == text);
      BOOST_TEST(read["list"][0].Scalar() == text);
      BOOST_TEST(read["after"].Scalar() == "x");
      const manifest_file file{yaml};
      const auto back = read_manifests({file.path.string()});
      BOOST_REQUIRE(back.ok());
      BOOST_TEST((*back)[0].object["key"] == text); // a text, not a number or a flag
    }
  }
}

BOOST_AUTO_TEST_CASE(manifests_are_documents_and_lists) {
  const manifest_file file{"a: 1\n---\n# nothing\n---\nkind: RepositoryList\nitems:\n- {name: x}\n- {name: \"2\"}\n"};
  const auto read = read_manifests({file.path.parent_path().string()});
  BOOST_REQUIRE(read.ok());
  BOOST_REQUIRE(read->size() == 3U);
  BOOST_TEST((*read)[0].object == parsed(R"({"a":1})"));
  BOOST_TEST((*read)[2].object == parsed(R"({"name":"2"})"));
  BOOST_TEST((*read)[2].source == file.path.string() + ": document 3");
  for (const auto* bad : {"a: [", "- a", "a: 1\na: 2", "x", "{? [a] : b}"})
    BOOST_TEST(!read_manifests({manifest_file{bad}.path.string()}).ok());
  std::string deep(100, '[');
  BOOST_TEST(!read_manifests({manifest_file{"a: " + deep + std::string(100, ']')}.path.string()}).ok());
}

BOOST_AUTO_TEST_CASE(a_patch_owns_only_what_was_applied) {
  struct example {
    const char* why;
    const char *last, *wanted, *live, *patch;
  };
  const example examples[] = {
      {"nothing to do", R"({"a":1})", R"({"a":1})", R"({"a":1,"theirs":2})", "{}"},
      {"changed here", R"({"a":1})", R"({"a":2})", R"({"a":1})", R"({"a":2})"},
      {"changed by others", R"({"a":1})", R"({"a":1})", R"({"a":3})", R"({"a":1})"},
      {"removed here", R"({"a":1,"b":1})", R"({"a":1})", R"({"a":1,"b":1})", R"({"b":null})"},
      {"removed here and there", R"({"a":1,"b":1})", R"({"a":1})", R"({"a":1})", "{}"},
      {"never ours", R"({})", R"({"a":1})", R"({"a":1,"b":1})", "{}"},
      {"inside objects", R"({"s":{"x":1,"y":1}})", R"({"s":{"x":2}})", R"({"s":{"x":1,"y":1,"z":1}})", R"({"s":{"x":2,"y":null}})"},
      {"whole object gone", R"({"s":{"x":1}})", "{}", R"({"s":{"x":1,"z":1}})", R"({"s":null})"},
      {"lists as a whole", R"({"l":[1,2]})", R"({"l":[2]})", R"({"l":[1,2]})", R"({"l":[2]})"},
      {"other type", R"({"a":{"x":1}})", R"({"a":"t"})", R"({"a":{"x":1}})", R"({"a":"t"})"},
      {"applied for the first time", "null", R"({"a":{"x":1}})", R"({"a":{"x":0,"y":1}})", R"({"a":{"x":1}})"},
  };
  for (const auto& e : examples)
    BOOST_TEST_CONTEXT(e.why) BOOST_TEST(three_way_patch(parsed(e.last), parsed(e.wanted), parsed(e.live)) == parsed(e.patch));
}

BOOST_AUTO_TEST_CASE(kinds_and_names_are_given_as_to_kubectl) {
  const auto names = [](const std::string& kind, const std::vector<std::string>& rest) {
    const auto t = parse_target(kind, rest);
    std::string out = t ? t->kind->kind : "refused";
    if (t)
      for (const auto& n : t->names)
        out += " " + n;
    return out;
  };
  BOOST_TEST(names("repo", {}) == "Repository");
  BOOST_TEST(names("pr", {"a", "b"}) == "PackageRevision a b");
  BOOST_TEST(names("repository.config.porch.kpt.dev/a", {"repos/b"}) == "Repository a b");
  BOOST_TEST(names("packages/p", {}) == "Package p");
  for (const auto* bad : {"pod", "repo/", "repo/a/b", "repository.porch.kpt.dev"})
    BOOST_TEST(names(bad, {}) == "refused");
  BOOST_TEST(names("repo/a", {"b"}) == "refused");
  BOOST_TEST(names("repo/a", {"pr/b"}) == "refused");
  BOOST_TEST(names("repo", {"a/b"}) == "refused");
}

BOOST_AUTO_TEST_CASE(answers_with_several_causes_list_them) {
  const answer one{422, R"({"kind":"Status","message":"R \"x\" is invalid: f: bad","details":{"causes":[{"field":"f","message":"bad"}]}})"};
  BOOST_TEST(failure_of(one, "x").what == "R \"x\" is invalid: f: bad");
  const answer two{422, R"({"message":"R \"x\" is invalid: f: bad; g: worse","details":{"causes":[{"field":"f","message":"bad"},{"field":"g","message":"worse"}]}})"};
  BOOST_TEST(failure_of(two, "x").what == "R \"x\" is invalid:\n* f: bad\n* g: worse");
  BOOST_TEST((failure_of({404, "not json"}, "/p?q").code == ec::not_found));
  BOOST_TEST(failure_of({502, "<html>"}, "/p?q").object == "/p");
}
